/* SPDX-License-Identifier: MIT */
/*
 * Speaking to xvmcd as a process would.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "xvmcd-talk.h"

int setup(void **state)
{
	static struct world w;

	for (int fd = 0; fd < 1024; fd++)
		w.fds[fd] = fcntl(fd, F_GETFD) >= 0;
	xvmcd_start(&w.run, NULL);
	w.daemon_fds = fresh_count_fds(w.run.pid);
	*state = &w;
	return 0;
}

int teardown(void **state)
{
	struct world *w = *state;

	/* Whatever the test left open ends now; xvmcd must let it go. */
	for (int fd = 0; fd < 1024; fd++)
		if (!w->fds[fd])
			close(fd);
	if (w->run.pid)
		fresh_wait_fds(w->run.pid, w->daemon_fds);
	xvmcd_stop(&w->run);
	return 0;
}

struct xvmc_board *map_board(struct world *w)
{
	struct xvmc_board *board;
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/board", w->run.dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	board = mmap(NULL, XVMC_BOARD_SIZE, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(board, MAP_FAILED);
	close(fd);
	return board;
}

uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

struct xvmc_ag_addr addr(const char *ip, uint16_t port)
{
	struct xvmc_ag_addr a = { .port = port };
	struct in_addr v4;

	if (inet_pton(AF_INET, ip, &v4) == 1) {
		a.ip.s6_addr[10] = a.ip.s6_addr[11] = 0xff;
		memcpy(&a.ip.s6_addr[12], &v4, 4);
	} else {
		assert_int_equal(inet_pton(AF_INET6, ip, &a.ip), 1);
	}
	return a;
}

void reg_as(int sock, uint32_t epid, const char *lip, uint16_t lport,
		   const char *rip, uint16_t rport, uint64_t link)
{
	struct xvmc_ag_register msg = { .epid = epid,
					.local = addr(lip, lport),
					.remote = addr(rip, rport),
					.link = link };

	agent_send(sock, XVMC_AG_REGISTER, &msg, sizeof(msg));
}

void reg(int sock, uint32_t epid, uint16_t n, bool client)
{
	uint16_t c = (uint16_t)(4000 + n);

	reg_as(sock, epid, "127.0.0.1", client ? c : 80, "127.0.0.1", client ? 80 : c, 0);
}

void word(int sock, uint16_t type, uint32_t epid, uint32_t reason, uint64_t link)
{
	struct xvmc_ag_word msg = { .epid = epid, .reason = reason, .link = link };

	agent_send(sock, type, &msg, sizeof(msg));
}

uint64_t expect_match(int sock, uint32_t epid, union agent_msg *ret_msg)
{
	agent_expect(sock, XVMC_AG_MATCH, ret_msg);
	assert_int_equal(ret_msg->match.epid, epid);
	assert_true(ret_msg->match.link != 0);
	return ret_msg->match.link;
}

void expect_unlinked(int sock, uint32_t epid, uint64_t link, uint32_t reason)
{
	union agent_msg msg;

	agent_expect(sock, XVMC_AG_UNLINKED, &msg);
	assert_int_equal(msg.word.epid, epid);
	assert_int_equal(msg.word.link, link);
	assert_int_equal(msg.word.reason, reason);
}

struct couple couple(struct world *w)
{
	struct couple c = { agent_app(&w->run, "vm1"), agent_app(&w->run, "vm2"), 0 };
	union agent_msg ma, mb;

	reg(c.a, 10, 0, true);
	reg(c.b, 20, 0, false);
	c.link = expect_match(c.a, 10, &ma);
	assert_int_equal(expect_match(c.b, 20, &mb), c.link);
	assert_int_equal(ma.match.strict + mb.match.strict, 0);
	assert_int_not_equal(ma.match.peer_domid, mb.match.peer_domid);
	return c;
}

void expect_quiet(struct world *w, int sock)
{
	agent_sync(&w->run);
	assert_true(agent_quiet(sock));
}

void relay(int sock, uint32_t epid, uint64_t link, const char *text)
{
	struct xvmc_ag_relay msg = { .epid = epid, .link = link };

	memcpy(msg.body, text, strlen(text) + 1);
	agent_send(sock, XVMC_AG_RELAY, &msg, offsetof(struct xvmc_ag_relay, body) + strlen(text) + 1);
}

void expect_relayed(int sock, uint32_t epid, uint64_t link, const char *text)
{
	union agent_msg msg;

	agent_expect(sock, XVMC_AG_RELAYED, &msg);
	assert_int_equal(msg.relay.epid, epid);
	assert_int_equal(msg.relay.link, link);
	assert_int_equal(msg.hdr.len, offsetof(struct xvmc_ag_relay, body) + strlen(text) + 1);
	assert_string_equal((char *)msg.relay.body, text);
}

void ask(int tool, uint16_t type, uint32_t serial)
{
	struct xvmc_agent_hdr msg = { .serial = serial };

	agent_send(tool, type, &msg, sizeof(msg));
}

void expect_end(int tool, uint32_t serial, int status)
{
	union agent_msg msg;

	agent_expect(tool, XVMC_AG_END, &msg);
	assert_int_equal(msg.hdr.serial, serial);
	assert_int_equal(msg.hdr.status, status);
}
