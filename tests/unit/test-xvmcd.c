/* SPDX-License-Identifier: MIT */
/*
 * A real xvmcd, spoken to by hand: who is brought together with whom, what
 * each message does, the order of a migration's messages, bad input, and
 * living through restarts. What becomes of memory is test-hv's question.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/stats.h"
#include "fresh.h"
#include "hv/local-wire.h"
#include "xvmcd.h"

struct world {
	bool fds[1024]; /* open before */
	struct xvmcd_run run;
	int daemon_fds;
};

static int setup(void **state)
{
	static struct world w;

	for (int fd = 0; fd < 1024; fd++)
		w.fds[fd] = fcntl(fd, F_GETFD) >= 0;
	xvmcd_start(&w.run, NULL);
	w.daemon_fds = fresh_count_fds(w.run.pid);
	*state = &w;
	return 0;
}

static int teardown(void **state)
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

static struct xvmc_board *map_board(struct world *w)
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

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static struct xvmc_ag_addr addr(const char *ip, uint16_t port)
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

static void reg_as(int sock, uint32_t epid, const char *lip, uint16_t lport,
		   const char *rip, uint16_t rport, uint64_t link)
{
	struct xvmc_ag_register msg = { .epid = epid,
					.local = addr(lip, lport),
					.remote = addr(rip, rport),
					.link = link };

	agent_send(sock, XVMC_AG_REGISTER, &msg, sizeof(msg));
}

/* A connection from port 4000 + n to port 80; the client's end or the other. */
static void reg(int sock, uint32_t epid, uint16_t n, bool client)
{
	uint16_t c = (uint16_t)(4000 + n);

	reg_as(sock, epid, "127.0.0.1", client ? c : 80, "127.0.0.1", client ? 80 : c, 0);
}

static void word(int sock, uint16_t type, uint32_t epid, uint32_t reason, uint64_t link)
{
	struct xvmc_ag_word msg = { .epid = epid, .reason = reason, .link = link };

	agent_send(sock, type, &msg, sizeof(msg));
}

static uint64_t expect_match(int sock, uint32_t epid, union agent_msg *ret_msg)
{
	agent_expect(sock, XVMC_AG_MATCH, ret_msg);
	assert_int_equal(ret_msg->match.epid, epid);
	assert_true(ret_msg->match.link != 0);
	return ret_msg->match.link;
}

static void expect_unlinked(int sock, uint32_t epid, uint64_t link, uint32_t reason)
{
	union agent_msg msg;

	agent_expect(sock, XVMC_AG_UNLINKED, &msg);
	assert_int_equal(msg.word.epid, epid);
	assert_int_equal(msg.word.link, link);
	assert_int_equal(msg.word.reason, reason);
}

/* Two processes with one link; epids 10 and 20. */
struct couple {
	int a, b;
	uint64_t link;
};

static struct couple couple(struct world *w)
{
	struct couple c = { agent_app(&w->run, "vm1"), agent_app(&w->run, "vm2"), 0 };
	union agent_msg ma, mb;

	reg(c.a, 10, 0, true);
	reg(c.b, 20, 0, false);
	c.link = expect_match(c.a, 10, &ma);
	assert_int_equal(expect_match(c.b, 20, &mb), c.link);
	assert_int_equal(ma.match.first + mb.match.first, 1);
	assert_int_equal(ma.match.strict + mb.match.strict, 0);
	assert_int_not_equal(ma.match.peer_domid, mb.match.peer_domid);
	return c;
}

/* Nothing is on its way to sock. */
static void expect_quiet(struct world *w, int sock)
{
	agent_sync(&w->run);
	assert_true(agent_quiet(sock));
}

/* ---- the program ---- */

static void test_options(void **state)
{
	static const char *const wrong[][2] = {
		{ "--nonsense", NULL },	     { "--idle-exit", "soon" },
		{ "--idle-exit", "-1" },     { "--max-grants", "9999999999" },
		{ "--host", "a b" },	     { "--host", "" },
		{ "--ready-fd", "77" },	     { "--xen", NULL },
		{ "leftover", NULL },	     { "--dir", NULL },
	};
	char out[4096], *line;
	int status;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		status = xvmcd_main(out, sizeof(out), wrong[i][0], wrong[i][1], NULL);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 2);
		/* one clear line */
		line = strchr(out, '\n');
		assert_true(line && line[1] == '\0');
	}
	assert_int_equal(xvmcd_main(out, sizeof(out), "--help", NULL), 0);
	assert_non_null(strstr(out, "--idle-exit"));
	assert_int_equal(xvmcd_main(out, sizeof(out), "--version", NULL), 0);
	status = xvmcd_main(out, sizeof(out), "--dir", "/proc/nothing/here", NULL);
	assert_int_equal(WEXITSTATUS(status), 1);
	memset(out, 'x', 300);
	strcpy(out + 300, "");
	out[0] = '/';
	{
		char name[301];

		strcpy(name, out);
		status = xvmcd_main(out, sizeof(out), "--dir", name, NULL);
		assert_int_equal(WEXITSTATUS(status), 1);
	}
}

static void test_lock(void **state)
{
	struct world *w = *state;
	char out[512], pid[32];
	int status;

	status = xvmcd_main(out, sizeof(out), "--dir", w->run.dir, NULL);
	assert_int_equal(WEXITSTATUS(status), 1);
	snprintf(pid, sizeof(pid), "pid %d", (int)w->run.pid);
	assert_non_null(strstr(out, pid));
	close(agent_tool(&w->run)); /* the first one is unharmed */
}

static bool exists(const struct xvmcd_run *run, const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/%s", run->dir, name);
	return access(path, F_OK) == 0;
}

/* In the background, then ended by a tool. */
static void test_daemon(void **state)
{
	struct xvmc_agent_hdr msg = { .serial = 3 };
	struct xvmcd_run run = { 0 };
	union agent_msg answer;
	char out[512];
	int tool;

	strcpy(run.dir, "/tmp/xvmc-test-XXXXXX");
	assert_non_null(mkdtemp(run.dir));
	assert_int_equal(xvmcd_main(out, sizeof(out), "--dir", run.dir, "--daemon", NULL), 0);
	assert_string_equal(out, "");
	/* a second one reports its failure through the first process */
	assert_int_equal(WEXITSTATUS(xvmcd_main(out, sizeof(out), "--dir", run.dir, "--daemon", NULL)), 1);
	assert_non_null(strstr(out, "already"));
	tool = agent_tool(&run);
	agent_send(tool, XVMC_AG_SHUTDOWN, &msg, sizeof(msg));
	agent_expect(tool, XVMC_AG_END, &answer);
	assert_int_equal(answer.hdr.status, 0);
	assert_int_equal(answer.hdr.serial, 3);
	agent_expect_end(tool);
	close(tool);
	/* closed last: by now nobody is to be found there */
	assert_false(exists(&run, "agent.sock") || exists(&run, "hv.sock"));
	assert_true(exists(&run, "xvmcd.log"));
	xvmcd_stop(&run);
}

static void test_idle_exit(void **state)
{
	struct xvmcd_run run;
	int status, app;

	xvmcd_start(&run, "--idle-exit", "1", NULL);
	app = agent_app(&run, "vm1");
	usleep(1200000); /* longer than that with somebody there */
	close(agent_tool(&run));
	close(app);
	assert_int_equal(waitpid(run.pid, &status, 0), run.pid);
	assert_int_equal(status, 0);
	run.pid = 0;
	assert_false(exists(&run, "agent.sock"));
	xvmcd_stop(&run);
}

/* ---- hello ---- */

static void test_hello(void **state)
{
	struct world *w = *state;
	union agent_msg m1, m2, m3;
	struct xvmc_ag_hello hello = { .role = XVMC_ROLE_TOOL, .naddrs = 2 };
	struct xvmc_board *board = map_board(w);
	int s1 = agent_hello(&w->run, XVMC_ROLE_APP, "vm1", 1, &m1);
	int s2 = agent_hello(&w->run, XVMC_ROLE_APP, "vm2", 1, &m2);
	int s3 = agent_hello(&w->run, XVMC_ROLE_APP, "vm1", 1, &m3), tool;

	assert_int_equal(m1.welcome.domid, 1);
	assert_int_equal(m2.welcome.domid, 2);
	assert_int_equal(m3.welcome.domid, 1);
	assert_int_equal(m3.welcome.slot, m1.welcome.slot);
	assert_int_equal(board->magic, XVMC_BOARD_MAGIC);
	assert_int_equal(board->xvmcd_pid, w->run.pid);
	assert_int_equal(board->seq & 1, 0);
	assert_string_equal(board->dom[m2.welcome.slot].name, "vm2");
	assert_string_equal(board->dom[m2.welcome.slot].host_name, "A");
	/* a tool may prepare a domain and its addresses; everybody hears of it */
	tool = agent_connect(&w->run);
	strcpy(hello.domain, "vm3");
	hello.addr[0] = addr("10.0.0.3", 0).ip;
	hello.addr[1] = addr("2001:db8::3", 0).ip;
	agent_send(tool, XVMC_AG_HELLO, &hello, sizeof(hello));
	agent_expect(tool, XVMC_AG_WELCOME, &m3);
	agent_expect(s1, XVMC_AG_VMS, &m1);
	agent_expect(s2, XVMC_AG_VMS, &m2);
	assert_string_equal(board->dom[m3.welcome.slot].name, "vm3");
	assert_int_equal(board->dom[m3.welcome.slot].naddrs, 2);
	assert_memory_equal(&board->dom[m3.welcome.slot].addr[1], &hello.addr[1], 16);
	munmap(board, XVMC_BOARD_SIZE);
	close(s3);
}

/* A malformed message: END{-EPROTO}, closed; nobody else notices. */
static void refused(struct world *w, int sock, const void *msg, size_t len)
{
	union agent_msg answer;

	assert_int_equal(send(sock, msg, len, MSG_NOSIGNAL), len);
	agent_expect(sock, XVMC_AG_END, &answer);
	assert_int_equal(answer.hdr.status, -EPROTO);
	agent_expect_end(sock);
	close(sock);
}

static void test_bad_hello(void **state)
{
	struct world *w = *state;
	static const char *const bad_names[] = { "a b", "../x", "\xff", "a\tb" };
	const struct xvmc_ag_hello good = {
		.hdr = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_HELLO, .len = sizeof(good) },
		.role = XVMC_ROLE_APP,
		.domain = "vm1",
	};
	struct xvmc_ag_hello bad;
	struct xvmc_agent_hdr list = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_LIST, .len = sizeof(list) };

#define BAD(change)                                              \
	do {                                                     \
		bad = good;                                      \
		change;                                          \
		refused(w, agent_connect(&w->run), &bad, sizeof(bad)); \
	} while (0)
	BAD(bad.hdr.version = 2);
	BAD(bad.hdr.len--);
	BAD(bad.hdr.len++);
	BAD(bad.hdr.type = 0);
	BAD(bad.hdr.type = 999);
	BAD(bad.hdr.type = XVMC_AG_REGISTER);
	BAD(bad.role = 0);
	BAD(bad.role = 3);
	BAD(bad.naddrs = XVMC_ADDRS_MAX + 1);
	BAD(bad.domain[0] = '\0');
	BAD(memset(bad.domain, 'a', sizeof(bad.domain)));
	for (size_t i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++)
		BAD(strcpy(bad.domain, bad_names[i]));
	refused(w, agent_connect(&w->run), &good, sizeof(good) - 1);
	refused(w, agent_connect(&w->run), &good, 4);
	refused(w, agent_connect(&w->run), &list, sizeof(list)); /* before hello */
	refused(w, agent_app(&w->run, "vm1"), &good, sizeof(good)); /* twice */
	refused(w, agent_app(&w->run, "vm1"), &list, sizeof(list)); /* a tool's */
}

static void test_bad_messages(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	char big[XVMC_AGENT_MAX + 100] = { 0 };
	struct xvmc_agent_hdr *hdr = (struct xvmc_agent_hdr *)(void *)big;
	struct xvmc_ag_register again = {
		.hdr = { .version = 1, .type = XVMC_AG_REGISTER, .len = sizeof(again) }, .epid = 1
	};
	struct xvmc_ag_word unlink_ = {
		.hdr = { .version = 1, .type = XVMC_AG_UNLINK, .len = sizeof(unlink_) }, .reason = 9999
	};
	int sock;

	/* longer than any message */
	*hdr = (struct xvmc_agent_hdr){ .version = 1, .type = XVMC_AG_RELAY, .len = sizeof(big) };
	refused(w, agent_app(&w->run, "vm3"), big, sizeof(big));
	/* a relay with less than a header, or more than the largest */
	hdr->len = offsetof(struct xvmc_ag_relay, body) + 7;
	refused(w, agent_app(&w->run, "vm3"), big, hdr->len);
	hdr->len = offsetof(struct xvmc_ag_relay, body) + XVMC_SETUP_MAX + 1;
	refused(w, agent_app(&w->run, "vm3"), big, hdr->len);
	/* the same epid twice */
	sock = agent_app(&w->run, "vm3");
	reg(sock, 1, 9, true);
	refused(w, sock, &again, sizeof(again));
	/* a reason nobody knows */
	refused(w, agent_app(&w->run, "vm3"), &unlink_, sizeof(unlink_));
	/* what xvmcd itself says is not for it to hear */
	for (uint16_t type = XVMC_AG_WELCOME; type <= XVMC_AG_YIELD; type++) {
		hdr->type = type;
		hdr->len = sizeof(struct xvmc_ag_word);
		refused(w, agent_app(&w->run, "vm3"), big, hdr->len);
	}
	/* the couple has noticed nothing */
	expect_quiet(w, c.a);
	expect_quiet(w, c.b);
}

static void test_full_board(void **state)
{
	struct world *w = *state;
	int tool = agent_tool(&w->run), app;
	struct xvmc_ag_hello hello = { .role = XVMC_ROLE_APP };
	union agent_msg msg;
	char name[32];

	close(agent_app(&w->run, "short-lived"));
	for (unsigned int i = 0; i < XVMC_BOARD_DOMS - 1; i++) {
		snprintf(name, sizeof(name), "vm%u", i);
		assert_int_equal(agent_domop(tool, XVMC_AG_CREATE, name, "A", 0, 0), 0);
	}
	/* an unused automatic domain makes room, once */
	agent_sync(&w->run);
	assert_int_equal(agent_domop(tool, XVMC_AG_CREATE, "more", "A", 0, 0), 0);
	assert_int_equal(agent_domop(tool, XVMC_AG_CREATE, "more2", "A", 0, 0), -ENOSPC);
	app = agent_connect(&w->run);
	strcpy(hello.domain, "more3");
	agent_send(app, XVMC_AG_HELLO, &hello, sizeof(hello));
	agent_expect(app, XVMC_AG_END, &msg);
	assert_int_equal(msg.hdr.status, -ENOSPC);
	agent_expect_end(app);
	close(agent_app(&w->run, "vm7")); /* one that is there is fine */
	assert_int_equal(agent_domop(tool, XVMC_AG_DESTROY, "vm9", "", 0, 0), 0);
	close(agent_app(&w->run, "more3"));
}

/* Another user's process is turned away; with --open it is not. */
static void test_other_user(void **state)
{
	struct world *w = *state;
	char path[96];
	int status, closed;

	if (geteuid() != 0)
		skip();
	for (int open_to_all = 0; open_to_all < 2; open_to_all++) {
		struct xvmcd_run run = w->run;
		pid_t pid;

		if (open_to_all)
			xvmcd_start(&run, "--open", NULL);
		chmod(run.dir, 0755);
		snprintf(path, sizeof(path), "%s/agent.sock", run.dir);
		chmod(path, 0666);
		pid = fork();
		if (pid == 0) {
			struct xvmc_ag_hello hello = {
				.hdr = { .version = 1, .type = XVMC_AG_HELLO, .len = sizeof(hello) },
				.role = XVMC_ROLE_TOOL,
			};
			struct pollfd pfd = { .events = POLLIN };

			if (setuid(65534) < 0)
				_exit(3);
			pfd.fd = agent_connect(&run);
			send(pfd.fd, &hello, sizeof(hello), MSG_NOSIGNAL);
			poll(&pfd, 1, 5000);
			_exit(recv(pfd.fd, &hello, sizeof(hello), 0) > 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		closed = WEXITSTATUS(status);
		assert_int_equal(closed, !open_to_all);
		if (open_to_all)
			xvmcd_stop(&run);
	}
}

/* ---- matching ---- */

static void relay(int sock, uint32_t epid, uint64_t link, const char *text)
{
	struct xvmc_ag_relay msg = { .epid = epid, .link = link };

	memcpy(msg.body, text, strlen(text) + 1);
	agent_send(sock, XVMC_AG_RELAY, &msg, offsetof(struct xvmc_ag_relay, body) + strlen(text) + 1);
}

static void expect_relayed(int sock, uint32_t epid, uint64_t link, const char *text)
{
	union agent_msg msg;

	agent_expect(sock, XVMC_AG_RELAYED, &msg);
	assert_int_equal(msg.relay.epid, epid);
	assert_int_equal(msg.relay.link, link);
	assert_int_equal(msg.hdr.len, offsetof(struct xvmc_ag_relay, body) + strlen(text) + 1);
	assert_string_equal((char *)msg.relay.body, text);
}

static void test_relay(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);

	relay(c.a, 10, c.link, "from a to b");
	expect_relayed(c.b, 20, c.link, "from a to b");
	relay(c.b, 20, c.link, "from b to a");
	expect_relayed(c.a, 10, c.link, "from b to a");
	/* not its link, not its endpoint: nothing happens */
	relay(c.a, 11, c.link, "no such end");
	relay(c.a, 10, c.link + 1, "no such link");
	relay(c.b, 10, c.link, "not b's end");
	expect_quiet(w, c.a);
	expect_quiet(w, c.b);
}

/* A program that talks to itself, twice over. */
static void test_same_process(void **state)
{
	struct world *w = *state;
	int a = agent_app(&w->run, "vm1");
	union agent_msg m1, m2;
	uint64_t link;

	reg(a, 1, 0, true);
	reg(a, 2, 0, false);
	agent_expect(a, XVMC_AG_MATCH, &m1);
	agent_expect(a, XVMC_AG_MATCH, &m2);
	link = m1.match.link;
	assert_int_equal(m2.match.link, link);
	assert_int_equal(m1.match.epid + m2.match.epid, 3);
	assert_int_equal(m1.match.peer_domid, m2.match.peer_domid);
	relay(a, 1, link, "myself!!");
	expect_relayed(a, 2, link, "myself!!");
	word(a, XVMC_AG_UNREGISTER, 1, 0, 0);
	expect_unlinked(a, 2, link, XVMC_R_CLOSE);
	/* a socket connected to itself is nobody's peer */
	reg_as(a, 3, "127.0.0.1", 99, "127.0.0.1", 99, 0);
	reg_as(a, 4, "::1", 1, "::1", 2, 0);
	reg_as(a, 5, "::1", 2, "::1", 1, 0);
	link = expect_match(a, 4, &m1);
	assert_int_equal(expect_match(a, 5, &m2), link);
	expect_quiet(w, a);
}

static void test_peer_died(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);

	close(c.a);
	expect_unlinked(c.b, 20, c.link, XVMC_R_PEER_DIED);
	expect_quiet(w, c.b);
	/* the same tuple again */
	c.a = agent_app(&w->run, "vm1");
	reg(c.a, 77, 0, true);
	assert_int_not_equal(expect_match(c.a, 77, &(union agent_msg){ 0 }), c.link);
}

static void test_unregister(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);

	word(c.a, XVMC_AG_UNREGISTER, 10, XVMC_R_SHUTDOWN, 0);
	expect_unlinked(c.b, 20, c.link, XVMC_R_SHUTDOWN);
	word(c.a, XVMC_AG_UNREGISTER, 10, XVMC_R_SHUTDOWN, 0); /* no error */
	expect_quiet(w, c.a);
}

/* After a passing reason: again, but not at once, and ever more slowly. */
static void test_back_off(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	union agent_msg msg;

	for (uint64_t wait = 10; wait <= 160; wait *= 2) {
		uint64_t before = now_ms(), took;

		word(c.a, XVMC_AG_UNLINK, 10, XVMC_R_LRU, c.link);
		expect_unlinked(c.b, 20, c.link, XVMC_R_LRU);
		c.link = expect_match(c.a, 10, &msg);
		expect_match(c.b, 20, &msg);
		took = now_ms() - before;
		assert_true(took + 1 >= wait);
	}
	/* both at once: the second is about a link that has ended */
	word(c.a, XVMC_AG_UNLINK, 10, XVMC_R_LRU, c.link);
	word(c.b, XVMC_AG_UNLINK, 20, XVMC_R_LRU, c.link);
	/* promoting forgives */
	{
		struct xvmc_ag_steer steer = { .to = XVMC_PATH_RING };
		int tool = agent_tool(&w->run);

		agent_send(tool, XVMC_AG_STEER, &steer, sizeof(steer));
		agent_expect(tool, XVMC_AG_END, &msg);
		agent_expect(c.a, XVMC_AG_STEER, &msg);
		expect_match(c.a, 10, &msg);
	}
}

static void steer(struct world *w, uint32_t pid, uint32_t epid, uint32_t to, int status)
{
	struct xvmc_ag_steer msg = { .pid = pid, .epid = epid, .to = to };
	int tool = agent_tool(&w->run);
	union agent_msg answer;

	agent_send(tool, XVMC_AG_STEER, &msg, sizeof(msg));
	agent_expect(tool, XVMC_AG_END, &answer);
	assert_int_equal(answer.hdr.status, status);
	close(tool);
}

static void expect_steer(int sock, uint32_t epid, uint32_t to)
{
	union agent_msg msg;

	agent_expect(sock, XVMC_AG_STEER, &msg);
	assert_int_equal(msg.steer.epid, epid);
	assert_int_equal(msg.steer.to, to);
}

static void test_pinned(void **state)
{
	static const uint32_t reasons[] = { XVMC_R_FORK, XVMC_R_EXEC, XVMC_R_FD_PASSED,
					    XVMC_R_UNFOLLOWED, XVMC_R_RULE, XVMC_R_TCP_ONLY,
					    XVMC_R_CLOSE, XVMC_R_SHUTDOWN, XVMC_R_DEMOTED };
	struct world *w = *state;
	struct couple c = couple(w);
	union agent_msg msg;

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		word(c.a, XVMC_AG_UNLINK, 10, reasons[i], c.link);
		expect_unlinked(c.b, 20, c.link, reasons[i]);
		usleep(30000); /* longer than the first back-off */
		expect_quiet(w, c.a);
		steer(w, (uint32_t)getpid(), 99, XVMC_PATH_RING, 0); /* another end */
		expect_steer(c.a, 99, XVMC_PATH_RING);
		expect_steer(c.b, 99, XVMC_PATH_RING);
		expect_quiet(w, c.a);
		steer(w, 0, 10, XVMC_PATH_RING, 0);
		expect_steer(c.a, 10, XVMC_PATH_RING);
		expect_steer(c.b, 10, XVMC_PATH_RING);
		c.link = expect_match(c.a, 10, &msg);
		expect_match(c.b, 20, &msg);
	}
	/* demoted while it was not linked */
	word(c.a, XVMC_AG_UNLINK, 10, XVMC_R_LRU, c.link);
	expect_unlinked(c.b, 20, c.link, XVMC_R_LRU);
	steer(w, 0, 10, XVMC_PATH_TCP, 0);
	expect_steer(c.a, 10, XVMC_PATH_TCP);
	expect_steer(c.b, 10, XVMC_PATH_TCP);
	steer(w, 0, 20, XVMC_PATH_RING, 0); /* from the other end will do */
	expect_steer(c.a, 20, XVMC_PATH_RING);
	expect_match(c.a, 10, &msg);
	steer(w, 1, 0, XVMC_PATH_RING, -ESRCH); /* init is none of ours */
}

static void test_ambiguous(void **state)
{
	struct world *w = *state;
	int a = agent_app(&w->run, "vm1"), a2 = agent_app(&w->run, "vm1");
	int b = agent_app(&w->run, "vm2"), b2 = agent_app(&w->run, "vm2");
	union agent_msg msg;
	uint64_t link;

	reg(a, 1, 0, true);
	reg(a2, 2, 0, true);
	expect_unlinked(a, 1, 0, XVMC_R_AMBIGUOUS);
	expect_unlinked(a2, 2, 0, XVMC_R_AMBIGUOUS);
	reg(b, 3, 0, false);
	expect_unlinked(b, 3, 0, XVMC_R_AMBIGUOUS);
	expect_quiet(w, a); /* said once */
	word(a2, XVMC_AG_UNREGISTER, 2, 0, 0);
	link = expect_match(a, 1, &msg);
	expect_match(b, 3, &msg);
	/* one who comes later does not disturb those who are together */
	reg(b2, 4, 0, false);
	expect_unlinked(b2, 4, 0, XVMC_R_AMBIGUOUS);
	relay(a, 1, link, "undisturbed");
	expect_relayed(b, 3, link, "undisturbed");
	close(b); /* the stale one goes: the other is the one */
	expect_unlinked(a, 1, link, XVMC_R_PEER_DIED);
	expect_match(a, 1, &msg);
	expect_match(b2, 4, &msg);
	/* a crowd is turned away */
	for (uint32_t i = 0; i < 40; i++)
		reg(a2, 100 + i, 5, true);
	for (uint32_t i = 0; i < 40; i++)
		agent_expect(a2, XVMC_AG_UNLINKED, &msg);
}

static int app_in(struct world *w, const char *domain, uint64_t netns, const char *ip)
{
	struct xvmc_ag_hello msg = { .role = XVMC_ROLE_APP, .netns = netns };
	int sock = agent_connect(&w->run);
	union agent_msg welcome;

	strcpy(msg.domain, domain);
	if (ip) {
		msg.naddrs = 1;
		msg.addr[0] = addr(ip, 0).ip;
	}
	agent_send(sock, XVMC_AG_HELLO, &msg, sizeof(msg));
	agent_expect(sock, XVMC_AG_WELCOME, &welcome);
	return sock;
}

static void test_namespaces(void **state)
{
	struct world *w = *state;
	int a = app_in(w, "vm1", 1, "10.0.0.1"), b = app_in(w, "vm2", 2, "10.0.0.2");
	int x = app_in(w, "vm3", 3, "10.0.0.2"), n, n2;
	union agent_msg msg;

	/* addresses that one namespace alone claims: strict */
	close(x);
	agent_sync(&w->run);
	reg_as(a, 1, "10.0.0.1", 4000, "10.0.0.2", 80, 0);
	reg_as(b, 2, "10.0.0.2", 80, "10.0.0.1", 4000, 0);
	expect_match(a, 1, &msg);
	assert_int_equal(msg.match.strict, 1);
	expect_match(b, 2, &msg);
	assert_int_equal(msg.match.strict, 1);
	/* loopback never leads out of its namespace */
	reg_as(a, 3, "127.0.0.1", 4000, "127.0.0.1", 80, 0);
	reg_as(b, 4, "127.0.0.1", 80, "127.0.0.1", 4000, 0);
	expect_unlinked(a, 3, 0, XVMC_R_AMBIGUOUS);
	expect_unlinked(b, 4, 0, XVMC_R_AMBIGUOUS);
	/* ... but inside, it does, even if others have the same inside */
	reg_as(b, 5, "127.0.0.1", 4000, "127.0.0.1", 80, 0);
	for (int i = 0; i < 2; i++) {
		agent_expect(b, XVMC_AG_MATCH, &msg);
		assert_true(msg.match.epid == 4 || msg.match.epid == 5);
		assert_int_equal(msg.match.strict, 0);
	}
	/* an address claimed twice is nobody's */
	x = app_in(w, "vm3", 3, "10.0.0.2");
	reg_as(a, 6, "10.0.0.1", 4001, "10.0.0.2", 80, 0);
	reg_as(b, 7, "10.0.0.2", 80, "10.0.0.1", 4001, 0);
	expect_unlinked(a, 6, 0, XVMC_R_AMBIGUOUS);
	expect_unlinked(b, 7, 0, XVMC_R_AMBIGUOUS);
	/* an address its process does not have (some translation) */
	reg_as(a, 8, "10.0.0.9", 4002, "10.0.0.8", 80, 0);
	reg_as(b, 9, "10.0.0.8", 80, "10.0.0.9", 4002, 0);
	expect_unlinked(a, 8, 0, XVMC_R_AMBIGUOUS);
	expect_unlinked(b, 9, 0, XVMC_R_AMBIGUOUS);
	/* an unknown namespace proves nothing */
	n = app_in(w, "vm1", 0, NULL);
	n2 = app_in(w, "vm2", 0, NULL);
	reg_as(n, 1, "127.0.0.1", 4003, "127.0.0.1", 80, 0);
	reg_as(n2, 2, "127.0.0.1", 80, "127.0.0.1", 4003, 0);
	expect_unlinked(n, 1, 0, XVMC_R_AMBIGUOUS);
	expect_unlinked(n2, 2, 0, XVMC_R_AMBIGUOUS);
}

/* xvmcd has handled all that was sent on sock: an answer came after it. */
static void flush(int sock)
{
	struct xvmc_ag_adopt msg = { .pid = UINT32_MAX, .link = 1 };
	union agent_msg answer;

	agent_send(sock, XVMC_AG_ADOPT, &msg, sizeof(msg));
	do
		assert_true(agent_recv(sock, &answer) > 0);
	while (answer.hdr.type != XVMC_AG_END);
	assert_int_equal(answer.hdr.status, -ESRCH);
}

static void test_too_many(void **state)
{
	struct world *w = *state;
	int a = agent_app(&w->run, "vm1"), b;
	union agent_msg msg;

	for (uint32_t i = 0; i < 65536; i++)
		reg_as(a, i + 1, "10.0.0.1", (uint16_t)i, "10.0.0.2", 80, 0);
	flush(a);
	b = agent_app(&w->run, "vm2");
	reg(b, 1, 0, true);
	expect_unlinked(b, 1, 0, XVMC_R_NO_MEMORY);
	word(a, XVMC_AG_UNREGISTER, 1, 0, 0);
	flush(a);
	reg(b, 2, 0, true);
	reg(b, 3, 0, false);
	expect_unlinked(b, 3, 0, XVMC_R_NO_MEMORY);
	close(a);
	agent_sync(&w->run);
	reg(b, 4, 0, false);
	expect_match(b, 4, &msg);
}

/* ---- forked children ---- */

static void adopt(int sock, uint32_t serial, uint32_t pid, uint32_t epid, uint64_t link)
{
	struct xvmc_ag_adopt msg = { .hdr = { .serial = serial }, .pid = pid, .epid = epid, .link = link };

	agent_send(sock, XVMC_AG_ADOPT, &msg, sizeof(msg));
}

static void expect_adopted(int sock, uint32_t serial, int status)
{
	union agent_msg msg;

	agent_expect(sock, XVMC_AG_END, &msg);
	assert_int_equal(msg.hdr.serial, serial);
	assert_int_equal(msg.hdr.status, status);
}

static void test_adopt(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int child = agent_app(&w->run, "vm1");
	uint32_t pid = (uint32_t)getpid();
	union agent_msg msg;
	uint64_t before;

	adopt(child, 5, pid, 10, c.link);
	adopt(child, 6, pid, 10, c.link);
	for (int i = 0; i < 2; i++) {
		agent_expect(c.a, XVMC_AG_YIELD, &msg);
		assert_int_equal(msg.word.epid, 10);
		assert_int_equal(msg.word.link, c.link);
		assert_int_equal(msg.word.reason, XVMC_R_FORK);
	}
	expect_quiet(w, child); /* not before the owner has answered */
	word(c.a, XVMC_AG_UNLINK, 10, XVMC_R_FORK, c.link);
	expect_unlinked(c.b, 20, c.link, XVMC_R_FORK);
	expect_adopted(child, 5, 0);
	expect_adopted(child, 6, 0);
	/* a link that has ended: its owner is on TCP */
	adopt(child, 7, pid, 10, c.link);
	expect_adopted(child, 7, 0);
	adopt(child, 8, 1, 10, c.link);
	expect_adopted(child, 8, -ESRCH);
	/* the owner dies before it answers */
	reg(c.a, 11, 1, true);
	reg(c.b, 21, 1, false);
	c.link = expect_match(c.a, 11, &msg);
	expect_match(c.b, 21, &msg);
	adopt(child, 9, pid, 11, c.link);
	agent_expect(c.a, XVMC_AG_YIELD, &msg);
	close(c.a);
	expect_adopted(child, 9, -ESRCH);
	/* the owner does not answer */
	c.a = agent_app(&w->run, "vm1");
	reg(c.a, 12, 2, true);
	reg(c.b, 22, 2, false);
	c.link = expect_match(c.a, 12, &msg);
	before = now_ms();
	adopt(child, 10, pid, 12, c.link);
	expect_adopted(child, 10, -ETIMEDOUT);
	assert_true(now_ms() - before >= 999);
	/* the child dies first */
	adopt(child, 11, pid, 12, c.link);
	close(child);
	agent_sync(&w->run);
	word(c.a, XVMC_AG_UNLINK, 12, XVMC_R_FORK, c.link);
	agent_sync(&w->run);
}

/* ---- tools ---- */

static void send_row(int sock, uint32_t serial, uint32_t epid)
{
	struct xvmc_ag_row row = { .hdr = { .serial = serial }, .pid = 42, .epid = epid };

	memset(row.comm, 'c', sizeof(row.comm)); /* no NUL */
	memset(row.domain, 'd', sizeof(row.domain));
	agent_send(sock, XVMC_AG_ROW, &row, sizeof(row));
}

static void send_end(int sock, uint32_t serial)
{
	struct xvmc_agent_hdr end = { .serial = serial };

	agent_send(sock, XVMC_AG_END, &end, sizeof(end));
}

static void ask(int tool, uint16_t type, uint32_t serial)
{
	struct xvmc_agent_hdr msg = { .serial = serial };

	agent_send(tool, type, &msg, sizeof(msg));
}

static void expect_end(int tool, uint32_t serial, int status)
{
	union agent_msg msg;

	agent_expect(tool, XVMC_AG_END, &msg);
	assert_int_equal(msg.hdr.serial, serial);
	assert_int_equal(msg.hdr.status, status);
}

static void test_list(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int tool = agent_tool(&w->run), tool2 = agent_tool(&w->run);
	union agent_msg qa, qb, msg;
	uint64_t before;

	ask(tool, XVMC_AG_LIST, 1);
	agent_expect(c.a, XVMC_AG_QUERY, &qa);
	ask(tool2, XVMC_AG_LIST, 2);
	agent_expect(c.b, XVMC_AG_QUERY, &qb);
	send_row(c.a, qa.hdr.serial, 1);
	send_row(c.a, qa.hdr.serial + 100, 99); /* for another one */
	send_row(c.a, qa.hdr.serial, 2);
	send_end(c.a, qa.hdr.serial);
	send_row(c.a, qa.hdr.serial, 98); /* after its end */
	send_row(c.b, qb.hdr.serial, 3);
	for (uint32_t epid = 1; epid <= 3; epid++) {
		agent_expect(tool, XVMC_AG_ROW, &msg);
		assert_int_equal(msg.row.epid, epid);
		assert_int_equal(msg.hdr.serial, 1);
		assert_string_equal(msg.row.domain, epid < 3 ? "vm1" : "vm2");
		assert_string_equal(msg.row.host, "A");
		assert_int_equal(strlen(msg.row.comm), 15);
	}
	assert_true(agent_quiet(tool2)); /* it waits its turn */
	send_end(c.b, qb.hdr.serial);
	expect_end(tool, 1, 0);
	/* the second: one answers, the other is too slow */
	agent_expect(c.a, XVMC_AG_QUERY, &qa);
	agent_expect(c.b, XVMC_AG_QUERY, &qb);
	before = now_ms();
	send_row(c.a, qa.hdr.serial, 4);
	send_end(c.a, qa.hdr.serial);
	agent_expect(tool2, XVMC_AG_ROW, &msg);
	expect_end(tool2, 2, 0);
	assert_true(now_ms() - before >= 400);
	/* a process that ends, and a tool that does, hold nobody up */
	ask(tool, XVMC_AG_LIST, 3);
	agent_expect(c.a, XVMC_AG_QUERY, &qa);
	agent_expect(c.b, XVMC_AG_QUERY, &qb);
	ask(tool2, XVMC_AG_LIST, 4);
	close(tool);
	agent_expect(c.a, XVMC_AG_QUERY, &qa);
	close(c.b);
	send_end(c.a, 0); /* no serial: to what it was asked last */
	expect_end(tool2, 4, 0);
	close(c.a);
	agent_sync(&w->run);
	ask(tool2, XVMC_AG_LIST, 5); /* nobody to ask */
	expect_end(tool2, 5, 0);
}

static void test_domains(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int tool = agent_tool(&w->run);
	union agent_msg msg;

	assert_int_equal(agent_domop(tool, XVMC_AG_CREATE, "empty", "B", 0, 0), 0);
	assert_int_equal(agent_domop(tool, XVMC_AG_CREATE, "empty", "B", 0, 0), -EEXIST);
	ask(tool, XVMC_AG_DOMAINS, 8);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = { "vm1", "vm2", "empty" };

		agent_expect(tool, XVMC_AG_DOM, &msg);
		assert_string_equal(msg.dom.name, names[i]);
		assert_string_equal(msg.dom.host, i < 2 ? "A" : "B");
		assert_int_equal(msg.dom.nprocs, i < 2);
		assert_int_equal(msg.dom.nlinks, i < 2);
		assert_int_equal(msg.dom.domid, i + 1);
	}
	expect_end(tool, 8, 0);
	close(c.a);
}

static int app_with_stats(struct world *w, int fd)
{
	struct xvmc_ag_hello hello = {
		.hdr = { .version = 1, .type = XVMC_AG_HELLO, .len = sizeof(hello) },
		.role = XVMC_ROLE_APP,
		.domain = "vm1",
		.comm = "counted",
	};
	int sock = agent_connect(&w->run);

	assert_int_equal(xvmc_lw_send(sock, &hello, &fd, 1), 0);
	return sock;
}

static void test_stats(void **state)
{
	struct world *w = *state;
	int fd = memfd_create("xvmc-stats", MFD_CLOEXEC), tool = agent_tool(&w->run), app, pipefd[2];
	uint64_t value[XVMC_S_COUNT] = { 0 };
	union agent_msg msg;

	value[XVMC_S_RINGS] = 2;
	value[XVMC_S_SETUPS] = 5;
	assert_int_equal(pwrite(fd, value, sizeof(value), 0), sizeof(value));
	app = app_with_stats(w, fd);
	agent_expect(app, XVMC_AG_WELCOME, &msg);
	ask(tool, XVMC_AG_STATS, 1);
	agent_expect(tool, XVMC_AG_STATS_ROW, &msg);
	assert_int_equal(msg.stats.pid, getpid());
	assert_string_equal(msg.stats.comm, "counted");
	assert_string_equal(msg.stats.domain, "vm1");
	assert_int_equal(msg.stats.value[XVMC_S_SETUPS], 5);
	agent_expect(tool, XVMC_AG_STATS_ROW, &msg);
	assert_int_equal(msg.stats.pid, 0);
	assert_int_equal(msg.stats.value[XVMC_S_RINGS], 2);
	expect_end(tool, 1, 0);
	/* its counts outlive it; its level does not. It shrinks the page, too. */
	close(app);
	agent_sync(&w->run);
	app = app_with_stats(w, fd);
	agent_expect(app, XVMC_AG_WELCOME, &msg);
	assert_int_equal(ftruncate(fd, 8), 0);
	ask(tool, XVMC_AG_STATS, 2);
	agent_expect(tool, XVMC_AG_STATS_ROW, &msg);
	assert_int_equal(msg.stats.value[XVMC_S_SETUPS], 0);
	agent_expect(tool, XVMC_AG_STATS_ROW, &msg);
	assert_int_equal(msg.stats.nprocs, 2);
	assert_int_equal(msg.stats.value[XVMC_S_SETUPS], 5);
	assert_int_equal(msg.stats.value[XVMC_S_RINGS], 0);
	expect_end(tool, 2, 0);
	/* something that could block a reader is no page */
	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	app = app_with_stats(w, pipefd[0]);
	expect_end(app, 0, -EPROTO);
}

/* ---- migration ---- */

static void expect_migrate_msg(int sock, uint16_t type, uint32_t self, uint32_t old_domid, union agent_msg *ret_msg)
{
	agent_expect(sock, type, ret_msg);
	assert_int_equal(ret_msg->migrate.self, self);
	assert_int_equal(ret_msg->migrate.old_domid, old_domid);
}

static void start_migration(int tool, const char *domain, const char *host, uint32_t how, uint32_t precopy_ms)
{
	struct xvmc_ag_domop op = { .how = how, .precopy_ms = precopy_ms };

	strcpy(op.domain, domain);
	strcpy(op.host, host);
	agent_send(tool, XVMC_AG_MIGRATE, &op, sizeof(op));
}

static void prepared(int sock, const union agent_msg *prepare)
{
	struct xvmc_ag_word msg = { .hdr = { .serial = prepare->hdr.serial }, .epid = prepare->migrate.serial };

	agent_send(sock, XVMC_AG_PREPARED, &msg, sizeof(msg));
}

/* Away and back, prepared; and one on the side that has no link. */
static void test_migrate_prepared(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int other = agent_app(&w->run, "vm3"), tool = agent_tool(&w->run);
	union agent_msg ma, mb, msg;

	start_migration(tool, "vm1", "B", XVMC_MIGRATE_PREPARED, 30);
	expect_migrate_msg(c.a, XVMC_AG_KEEP, 1, 1, &msg);
	expect_migrate_msg(c.b, XVMC_AG_KEEP, 0, 1, &msg);
	expect_migrate_msg(other, XVMC_AG_KEEP, 0, 1, &msg);
	/* during pre-copy the link works */
	relay(c.a, 10, c.link, "still here");
	expect_relayed(c.b, 20, c.link, "still here");
	assert_int_equal(agent_domop(agent_tool(&w->run), XVMC_AG_MIGRATE, "vm1", "C", 0, 0), -EBUSY);
	assert_int_equal(agent_domop(agent_tool(&w->run), XVMC_AG_DESTROY, "vm1", "", 0, 0), -EBUSY);
	expect_migrate_msg(c.a, XVMC_AG_PREPARE, 1, 1, &ma);
	expect_migrate_msg(c.b, XVMC_AG_PREPARE, 0, 1, &mb);
	word(c.a, XVMC_AG_UNLINK, 10, XVMC_R_PREPARE, c.link);
	expect_unlinked(c.b, 20, c.link, XVMC_R_PREPARE);
	prepared(c.a, &ma);
	expect_quiet(w, c.a); /* neither finished nor linked again */
	assert_true(agent_quiet(other));
	prepared(c.b, &mb);
	expect_migrate_msg(c.a, XVMC_AG_FINISH, 1, 1, &msg);
	expect_migrate_msg(c.b, XVMC_AG_FINISH, 0, 1, &msg);
	expect_migrate_msg(other, XVMC_AG_FINISH, 0, 1, &msg);
	agent_expect(c.a, XVMC_AG_VMS, &msg);
	expect_unlinked(c.a, 10, 0, XVMC_R_NOT_CORESIDENT);
	expect_unlinked(c.b, 20, 0, XVMC_R_NOT_CORESIDENT);
	expect_end(tool, 0, 0);
	/* and home: at the end they are together */
	start_migration(tool, "vm1", "A", XVMC_MIGRATE_PREPARED, 0);
	expect_migrate_msg(c.a, XVMC_AG_KEEP, 1, 4, &msg);
	expect_migrate_msg(c.a, XVMC_AG_PREPARE, 1, 4, &ma);
	prepared(c.a, &ma);
	expect_migrate_msg(c.a, XVMC_AG_FINISH, 1, 4, &msg);
	expect_match(c.a, 10, &ma);
	expect_migrate_msg(c.b, XVMC_AG_KEEP, 0, 4, &msg); /* target host */
	expect_match(c.b, 20, &mb);
	assert_int_equal(mb.match.peer_domid, 5);
	expect_end(tool, 0, 0);
}

static void test_migrate_unprepared(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int tool = agent_tool(&w->run);
	union agent_msg msg;

	start_migration(tool, "vm2", "B", XVMC_MIGRATE_UNPREPARED, 0);
	expect_migrate_msg(c.a, XVMC_AG_KEEP, 0, 2, &msg);
	expect_migrate_msg(c.a, XVMC_AG_FINISH, 0, 2, &msg);
	expect_unlinked(c.a, 10, c.link, XVMC_R_MIGRATE_PEER);
	expect_unlinked(c.a, 10, 0, XVMC_R_NOT_CORESIDENT);
	expect_migrate_msg(c.b, XVMC_AG_KEEP, 1, 2, &msg);
	expect_migrate_msg(c.b, XVMC_AG_FINISH, 1, 2, &msg);
	expect_unlinked(c.b, 20, c.link, XVMC_R_MIGRATE_SELF);
	expect_end(tool, 0, 0);
	/* late words about what was are no errors */
	relay(c.a, 10, c.link, "too late");
	word(c.b, XVMC_AG_UNLINK, 20, XVMC_R_MIGRATE_SELF, c.link);
	/* the peer follows: together again, at once */
	start_migration(tool, "vm1", "B", XVMC_MIGRATE_UNPREPARED, 0);
	expect_end(tool, 0, 0);
	do
		assert_true(agent_recv(c.b, &msg) > 0);
	while (msg.hdr.type != XVMC_AG_MATCH);
	/* and to the same host: new domid, new link */
	c.link = msg.match.link;
	start_migration(tool, "vm1", "B", XVMC_MIGRATE_UNPREPARED, 0);
	expect_end(tool, 0, 0);
	expect_migrate_msg(c.b, XVMC_AG_KEEP, 0, 4, &msg);
	expect_migrate_msg(c.b, XVMC_AG_FINISH, 0, 4, &msg);
	expect_unlinked(c.b, 20, c.link, XVMC_R_MIGRATE_PEER);
	expect_match(c.b, 20, &msg);
	assert_int_equal(msg.match.peer_domid, 5);
}

static void test_migrate_cancelled(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int tool = agent_tool(&w->run);
	union agent_msg ma, mb;

	start_migration(tool, "vm1", "B", XVMC_MIGRATE_CANCELLED, 0);
	expect_migrate_msg(c.a, XVMC_AG_KEEP, 1, 1, &ma);
	expect_migrate_msg(c.b, XVMC_AG_KEEP, 0, 1, &mb);
	expect_migrate_msg(c.a, XVMC_AG_PREPARE, 1, 1, &ma);
	expect_migrate_msg(c.b, XVMC_AG_PREPARE, 0, 1, &mb);
	word(c.a, XVMC_AG_UNLINK, 10, XVMC_R_PREPARE, c.link);
	prepared(c.a, &ma);
	prepared(c.b, &mb);
	expect_unlinked(c.b, 20, c.link, XVMC_R_PREPARE);
	/* no FINISH; the same domid as before */
	expect_match(c.a, 10, &ma);
	expect_match(c.b, 20, &mb);
	assert_int_equal(mb.match.peer_domid, 1);
	expect_end(tool, 0, 0);
}

static bool is_on(int tool, const char *domain, const char *host)
{
	union agent_msg msg;
	bool yes = false;

	ask(tool, XVMC_AG_DOMAINS, 0);
	while (agent_recv(tool, &msg) > 0 && msg.hdr.type == XVMC_AG_DOM)
		yes |= strcmp(msg.dom.name, domain) == 0 && strcmp(msg.dom.host, host) == 0;
	assert_int_equal(msg.hdr.type, XVMC_AG_END);
	return yes;
}

/* Whoever does not answer, ends, or stops listening: it goes on. */
static void test_migrate_alone(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int tool = agent_tool(&w->run);
	uint64_t before = now_ms();
	union agent_msg msg;

	assert_int_equal(agent_domop(tool, XVMC_AG_MIGRATE, "nobody", "B", 0, 0), -ENOENT);
	start_migration(tool, "vm1", "B", XVMC_MIGRATE_PREPARED, 0);
	expect_end(tool, 0, 0); /* nobody answers PREPARE */
	assert_true(now_ms() - before >= 499);
	assert_true(now_ms() - before < 2000);
	/* the mover's only process ends after PREPARE */
	start_migration(tool, "vm1", "A", XVMC_MIGRATE_PREPARED, 0);
	for (int i = 0; i < 2;) {
		assert_true(agent_recv(c.a, &msg) > 0);
		i += msg.hdr.type == XVMC_AG_PREPARE;
	}
	close(c.a);
	expect_end(tool, 0, 0);
	/* the tool ends first: the migration does not */
	start_migration(tool, "vm1", "C", XVMC_MIGRATE_UNPREPARED, 50);
	agent_sync(&w->run);
	close(tool);
	tool = agent_tool(&w->run);
	assert_int_equal(agent_domop(tool, XVMC_AG_MIGRATE, "vm1", "A", 0, 0), -EBUSY);
	while (!is_on(tool, "vm1", "C"))
		;
}

/* Two at a time, of different domains. */
static void test_migrate_two(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int t1 = agent_tool(&w->run), t2 = agent_tool(&w->run), n[2] = { 0, 0 };
	int socks[2] = { c.a, c.b };
	union agent_msg msg;

	start_migration(t1, "vm1", "B", XVMC_MIGRATE_PREPARED, 10);
	start_migration(t2, "vm2", "B", XVMC_MIGRATE_PREPARED, 10);
	for (int i = 0; i < 2; i++) {
		while (n[i] < 2) {
			assert_true(agent_recv(socks[i], &msg) > 0);
			if (msg.hdr.type != XVMC_AG_PREPARE)
				continue;
			prepared(socks[i], &msg);
			n[i]++;
		}
	}
	expect_end(t1, 0, 0);
	expect_end(t2, 0, 0);
	/* together on the other host */
	for (int i = 0; i < 2; i++)
		do
			assert_true(agent_recv(socks[i], &msg) > 0);
		while (msg.hdr.type != XVMC_AG_MATCH);
	assert_true(msg.match.peer_domid >= 3);
}

static void test_destroy(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int tool = agent_tool(&w->run);
	union agent_msg msg;

	assert_int_equal(agent_domop(tool, XVMC_AG_DESTROY, "vm1", "", 0, 0), 0);
	expect_migrate_msg(c.b, XVMC_AG_FINISH, 0, 1, &msg);
	expect_unlinked(c.b, 20, c.link, XVMC_R_PEER_DIED);
	expect_migrate_msg(c.a, XVMC_AG_FINISH, 1, 1, &msg);
	agent_expect_end(c.a);
	/* its process may come back: a new guest of that name */
	c.a = agent_hello(&w->run, XVMC_ROLE_APP, "vm1", 1, &msg);
	assert_int_equal(msg.welcome.domid, 3);
	reg(c.a, 10, 0, true);
	expect_match(c.a, 10, &msg);
}

/* ---- restarts ---- */

static void test_restart(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	struct xvmc_board *board = map_board(w);
	int tool = agent_tool(&w->run);
	union agent_msg ma, mb;
	uint64_t link;

	assert_int_equal(agent_domop(tool, XVMC_AG_CREATE, "vm3", "Z", 0, 0), 0);
	assert_int_equal(agent_domop(tool, XVMC_AG_MIGRATE, "vm3", "B", XVMC_MIGRATE_UNPREPARED, 0), 0);
	close(tool);
	xvmcd_kill(&w->run, SIGKILL);
	xvmcd_restart(&w->run, "--host", "Y", NULL);
	w->daemon_fds = fresh_count_fds(w->run.pid);
	assert_int_equal(board->xvmcd_pid, w->run.pid); /* in place */
	assert_int_equal(board->seq & 1, 0);
	close(c.a);
	close(c.b);
	c.a = agent_hello(&w->run, XVMC_ROLE_APP, "vm1", 1, &ma);
	c.b = agent_hello(&w->run, XVMC_ROLE_APP, "vm2", 1, &mb);
	assert_int_equal(ma.welcome.domid, 1);
	assert_int_equal(mb.welcome.domid, 2);
	assert_string_equal(board->dom[ma.welcome.slot].host_name, "A");
	assert_string_equal(board->dom[2].name, "vm3");
	assert_string_equal(board->dom[2].host_name, "B");
	assert_int_equal(board->dom[2].incarnation, 1);
	/* both say the same link: it goes on, silently */
	reg_as(c.a, 10, "127.0.0.1", 4000, "127.0.0.1", 80, c.link);
	reg_as(c.b, 20, "127.0.0.1", 80, "127.0.0.1", 4000, c.link);
	expect_quiet(w, c.a);
	expect_quiet(w, c.b);
	relay(c.a, 10, c.link, "as before");
	expect_relayed(c.b, 20, c.link, "as before");
	/* one says none: it was no link, a new one is made */
	reg_as(c.a, 11, "127.0.0.1", 4001, "127.0.0.1", 80, 555);
	reg_as(c.b, 21, "127.0.0.1", 80, "127.0.0.1", 4001, 0);
	expect_unlinked(c.a, 11, 555, XVMC_R_NO_XVMCD);
	link = expect_match(c.a, 11, &ma);
	assert_int_equal(expect_match(c.b, 21, &mb), link);
	/* they say different ones, or one that is taken */
	reg_as(c.a, 12, "127.0.0.1", 4002, "127.0.0.1", 80, 666);
	reg_as(c.b, 22, "127.0.0.1", 80, "127.0.0.1", 4002, 777);
	expect_unlinked(c.a, 12, 666, XVMC_R_NO_XVMCD);
	expect_unlinked(c.b, 22, 777, XVMC_R_NO_XVMCD);
	expect_match(c.a, 12, &ma);
	expect_match(c.b, 22, &mb);
	reg_as(c.a, 13, "127.0.0.1", 4003, "127.0.0.1", 80, c.link);
	reg_as(c.b, 23, "127.0.0.1", 80, "127.0.0.1", 4003, c.link);
	expect_unlinked(c.a, 13, c.link, XVMC_R_NO_XVMCD);
	expect_match(c.a, 13, &ma);
	/* new domains: the new default host, and no domid again */
	close(agent_hello(&w->run, XVMC_ROLE_APP, "vm4", 1, &ma));
	assert_string_equal(board->dom[ma.welcome.slot].host_name, "Y");
	assert_int_equal(ma.welcome.domid, 5);
	munmap(board, XVMC_BOARD_SIZE);
}

/* Ended while nobody was connected: the next one begins afresh. Ended with
 * somebody there: his domain stays. */
static void test_clean_end(void **state)
{
	struct world *w = *state;
	struct xvmc_board *board = map_board(w);
	union agent_msg msg;
	int app, tool = agent_tool(&w->run);

	close(agent_app(&w->run, "vm1"));
	assert_int_equal(agent_domop(tool, XVMC_AG_CREATE, "vm2", "B", 0, 0), 0);
	close(tool);
	fresh_wait_fds(w->run.pid, w->daemon_fds); /* nobody is connected */
	assert_int_equal(xvmcd_kill(&w->run, SIGTERM), 0);
	assert_false(exists(&w->run, "agent.sock"));
	/* an old mapping sees the end, and what the next one writes */
	assert_int_equal(board->xvmcd_pid, 0);
	assert_int_equal(board->dom[0].in_use + board->dom[1].in_use, 0);
	xvmcd_restart(&w->run, NULL);
	close(agent_app(&w->run, "vm0"));
	app = agent_hello(&w->run, XVMC_ROLE_APP, "vm1", 1, &msg);
	assert_int_equal(msg.welcome.domid, 4);
	assert_int_equal(board->dom[msg.welcome.slot].domid, 4);
	assert_string_equal(board->dom[msg.welcome.slot].name, "vm1");
	assert_int_equal(xvmcd_kill(&w->run, SIGTERM), 0);
	agent_expect_end(app);
	assert_int_equal(board->dom[msg.welcome.slot].domid, 4);
	xvmcd_restart(&w->run, NULL);
	close(agent_hello(&w->run, XVMC_ROLE_APP, "vm1", 1, &msg));
	assert_int_equal(msg.welcome.domid, 4);
	munmap(board, XVMC_BOARD_SIZE);
}

/* A board that was half written, or is not one. */
static void test_bad_board(void **state)
{
	struct world *w = *state;
	uint64_t seed = fresh_seed();
	char path[96], page[XVMC_BOARD_SIZE];
	union agent_msg msg;

	snprintf(path, sizeof(path), "%s/board", w->run.dir);
	close(agent_app(&w->run, "vm1"));
	for (int i = 0; i < 20; i++) {
		int fd, n;

		xvmcd_kill(&w->run, SIGKILL);
		fd = open(path, O_RDWR | O_CLOEXEC);
		assert_true(fd >= 0);
		if (i == 0) {
			assert_int_equal(ftruncate(fd, 100), 0);
		} else {
			assert_true(read(fd, page, sizeof(page)) > 0);
			/* i > 10: also where the magic is */
			for (n = 0; n < 300; n++)
				page[(i > 10 ? 0 : 8) + fresh_random(&seed, i % 2 ? 1000 : 25000)] = (char)fresh_random(&seed, 256);
			assert_true(pwrite(fd, page, sizeof(page), 0) > 0);
		}
		close(fd);
		xvmcd_restart(&w->run, NULL);
		close(agent_hello(&w->run, XVMC_ROLE_APP, "vm2", 1, &msg));
	}
}

/* ---- bad neighbours ---- */

/* One that never reads does not hold up the others, nor eat memory. */
static void test_slow_reader(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	struct xvmc_ag_relay msg = { .epid = 10, .link = c.link };
	int other = agent_app(&w->run, "vm3");
	union agent_msg answer;
	bool ended = false;

	for (int i = 0; i < 20000 && !ended; i++) {
		agent_send(c.a, XVMC_AG_RELAY, &msg, sizeof(msg));
		if (i % 100 == 0) {
			agent_sync(&w->run);
			while (!agent_quiet(c.a))
				ended = true; /* UNLINKED: b was let go */
			if (ended)
				break;
		}
	}
	assert_true(ended);
	reg(other, 1, 7, true);
	reg(other, 2, 7, false);
	agent_expect(other, XVMC_AG_MATCH, &answer);
	agent_expect_end(c.b);
}

static int hv_connect(struct world *w)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/hv.sock", w->run.dir);
	assert_int_equal(connect(sock, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return sock;
}

static int hv_hello(struct world *w, const char *domain, uint32_t *ret_domid)
{
	struct xvmc_lw_hello msg = {
		.hdr = { .version = 1, .type = XVMC_LW_HELLO, .len = sizeof(msg), .serial = 1 },
	};
	struct xvmc_lw_welcome answer;
	int sock = hv_connect(w), fds[2];
	unsigned int nfds;
	struct pollfd pfd = { .fd = sock, .events = POLLIN };

	strcpy(msg.domain, domain);
	assert_int_equal(xvmc_lw_send(sock, &msg, NULL, 0), 0);
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(xvmc_lw_recv(sock, &answer, sizeof(answer), fds, &nfds), sizeof(answer));
	assert_int_equal(answer.hdr.status, 0);
	assert_int_equal(nfds, 2);
	close(fds[0]);
	close(fds[1]);
	*ret_domid = answer.domid;
	return sock;
}

static int hv_grant(int sock, uint32_t peer, uint32_t npages, const int *fds, unsigned int nfds)
{
	struct xvmc_lw_call msg = {
		.hdr = { .version = 1, .type = XVMC_LW_GRANT, .len = sizeof(msg), .serial = 9 },
		.peer = peer,
		.npages = npages,
	};
	struct xvmc_lw_reply answer;
	struct pollfd pfd = { .fd = sock, .events = POLLIN };

	assert_int_equal(xvmc_lw_send(sock, &msg, fds, nfds), 0);
	assert_int_equal(poll(&pfd, 1, 5000), 1);
	assert_int_equal(recv(sock, &answer, sizeof(answer), 0), sizeof(answer));
	assert_int_equal(answer.hdr.serial, 9);
	return answer.hdr.status;
}

static void test_bad_grants(void **state)
{
	struct world *w = *state;
	uint32_t domid;
	int sock = hv_hello(w, "vm1", &domid), fd, pipefd[2], many[2];

	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	assert_int_equal(hv_grant(sock, domid, 1, NULL, 0), -EMFILE);
	assert_int_equal(hv_grant(sock, domid, 1, pipefd, 1), -EACCES);
	assert_int_equal(hv_grant(sock, domid, 1, pipefd, 2), -EINVAL);
	fd = memfd_create("xvmc-test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(fd, 8192), 0);
	assert_int_equal(hv_grant(sock, domid, 2, &fd, 1), -EACCES); /* could shrink */
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(hv_grant(sock, domid, 2, &fd, 1), -EACCES); /* could grow */
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), 0);
	assert_int_equal(hv_grant(sock, domid, 2, &fd, 1), -EACCES); /* has holes */
	assert_int_equal(posix_fallocate(fd, 0, 8192), 0);
	assert_int_equal(hv_grant(sock, domid, 3, &fd, 1), -EACCES); /* too small */
	assert_int_equal(hv_grant(sock, domid, 0, &fd, 1), -EINVAL);
	assert_int_equal(hv_grant(sock, domid, 2, &fd, 1), 0);
	many[0] = many[1] = fd;
	assert_int_equal(hv_grant(sock, domid, 2, many, 2), -EINVAL);
}

static void test_bad_hypercalls(void **state)
{
	struct world *w = *state;
	struct xvmc_lw_call call = {
		.hdr = { .version = 1, .type = XVMC_LW_MAP, .len = sizeof(call), .serial = 1 },
	};
	struct xvmc_lw_hello hello = {
		.hdr = { .version = 1, .type = XVMC_LW_HELLO, .len = sizeof(hello), .serial = 1 },
		.domain = "bad name",
	};
	struct xvmc_lw_welcome answer;
	uint32_t domid;
	int sock;

#define CLOSED(s, msg, len)                                             \
	do {                                                            \
		sock = (s);                                             \
		assert_int_equal(send(sock, &(msg), (len), MSG_NOSIGNAL), len); \
		assert_true(recv(sock, &answer, sizeof(answer), 0) <= 0); \
		close(sock);                                            \
	} while (0)
	CLOSED(hv_connect(w), call, sizeof(call)); /* before hello */
	sock = hv_connect(w);
	send(sock, &hello, sizeof(hello), 0);
	assert_int_equal(recv(sock, &answer, sizeof(answer), 0), sizeof(answer));
	assert_int_equal(answer.hdr.status, -EINVAL);
	assert_int_equal(recv(sock, &answer, sizeof(answer), 0), 0);
	strcpy(hello.domain, "vm1");
	CLOSED(hv_hello(w, "vm1", &domid), hello, sizeof(hello)); /* twice */
	call.hdr.version = 7;
	CLOSED(hv_hello(w, "vm1", &domid), call, sizeof(call));
	call.hdr.version = 1;
	call.hdr.type = 77;
	CLOSED(hv_hello(w, "vm1", &domid), call, sizeof(call));
	call.hdr.type = XVMC_LW_MAP;
	CLOSED(hv_hello(w, "vm1", &domid), call, sizeof(call) - 1);
	call.hdr.len = 12;
	CLOSED(hv_hello(w, "vm1", &domid), call, sizeof(call));
}

/* What goes to everybody may have come, nothing else. */
static void only_news(int sock)
{
	union agent_msg msg;

	while (recv(sock, &msg, sizeof(msg), MSG_DONTWAIT) > 0)
		switch (msg.hdr.type) {
		case XVMC_AG_VMS:
		case XVMC_AG_QUERY:
		case XVMC_AG_KEEP:
		case XVMC_AG_FINISH:
			break;
		default:
			fail_msg("message %u came", msg.hdr.type);
		}
}

/* Random messages from random ends: whatever happens, xvmcd lives, and who
 * behaves is served. */
static void test_fuzz(void **state)
{
	struct world *w = *state;
	uint64_t seed = fresh_seed();
	struct couple c = couple(w);
	int socks[8], kinds[8] = { 0 };
	uint32_t domid;

	for (int i = 0; i < 8; i++)
		socks[i] = -1;
	for (int i = 0; i < 30000; i++) {
		_Alignas(8) unsigned char msg[XVMC_AGENT_MAX + 64];
		struct xvmc_agent_hdr *hdr = (void *)msg;
		uint32_t k = fresh_random(&seed, 8);
		size_t len;
		int fd = -1;

		if (socks[k] < 0) {
			static const char *const names[] = { "vm1", "vm2", "fz1", "fz2" };
			const char *name = names[2 + fresh_random(&seed, 2)];

			kinds[k] = (int)fresh_random(&seed, 3);
			socks[k] = kinds[k] == 0 ? agent_app(&w->run, name) :
				   kinds[k] == 1 ? agent_tool(&w->run) :
						   hv_hello(w, name, &domid);
		}
		for (size_t j = 0; j < sizeof(msg); j++)
			msg[j] = (unsigned char)(fresh_random(&seed, 4) ? 0 : fresh_random(&seed, 256));
		*hdr = (struct xvmc_agent_hdr){ .version = 1, .type = (uint16_t)fresh_random(&seed, kinds[k] == 2 ? 12 : 44) };
		/* mostly a length that fits some message */
		switch (fresh_random(&seed, 8)) {
		case 0: len = fresh_random(&seed, sizeof(msg)); break;
		case 1: len = sizeof(struct xvmc_ag_register); break;
		case 2: len = sizeof(struct xvmc_ag_word); break;
		case 3: len = sizeof(struct xvmc_ag_row); break;
		case 4: len = sizeof(struct xvmc_ag_domop); break;
		case 5: len = sizeof(struct xvmc_ag_steer); break;
		case 6: len = sizeof(struct xvmc_lw_call); break;
		default: len = sizeof(struct xvmc_ag_relay) - fresh_random(&seed, 1000); break;
		}
		if (hdr->type == XVMC_AG_SHUTDOWN || hdr->type == XVMC_AG_STEER)
			continue;
		if (len < sizeof(*hdr))
			len = sizeof(*hdr);
		hdr->len = (uint16_t)(fresh_random(&seed, 50) ? len : fresh_random(&seed, 2000));
		if (len == sizeof(struct xvmc_ag_domop)) {
			struct xvmc_ag_domop *op = (void *)msg;

			memset(op->domain, 0, sizeof(op->domain));
			memset(op->host, 0, sizeof(op->host));
			snprintf(op->domain, sizeof(op->domain), "fz%u", fresh_random(&seed, 4));
			snprintf(op->host, sizeof(op->host), "H%u", fresh_random(&seed, 3));
			op->how = fresh_random(&seed, 4);
			op->precopy_ms = fresh_random(&seed, 10);
		}
		if (kinds[k] == 2) {
			hdr->status = (int32_t)fresh_random(&seed, 100); /* serial there */
			if (fresh_random(&seed, 3) == 0)
				fd = memfd_create("xvmc-fz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		}
		if (fd >= 0 && hdr->len == len)
			xvmc_lw_send(socks[k], msg, &fd, 1);
		else
			send(socks[k], msg, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (fd >= 0)
			close(fd);
		/* hung up on: another takes its place */
		for (;;) {
			ssize_t n = recv(socks[k], msg, sizeof(msg), MSG_DONTWAIT);

			if (n > 0)
				continue;
			if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
				close(socks[k]);
				socks[k] = -1;
			}
			break;
		}
	}
	/* it lives, and the couple is as it was */
	agent_sync(&w->run);
	only_news(c.a);
	only_news(c.b);
	relay(c.a, 10, c.link, "all is well");
	expect_relayed(c.b, 20, c.link, "all is well");
}

int main(int argc, char **argv)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		T(test_lock),
		cmocka_unit_test(test_daemon),
		cmocka_unit_test(test_idle_exit),
		T(test_hello), T(test_bad_hello), T(test_bad_messages),
		T(test_full_board), T(test_other_user), T(test_relay),
		T(test_same_process), T(test_peer_died), T(test_unregister),
		T(test_back_off), T(test_pinned), T(test_ambiguous),
		T(test_namespaces), T(test_too_many), T(test_adopt),
		T(test_list), T(test_domains), T(test_stats),
		T(test_migrate_prepared), T(test_migrate_unprepared),
		T(test_migrate_cancelled), T(test_migrate_alone),
		T(test_migrate_two), T(test_destroy), T(test_restart),
		T(test_clean_end), T(test_bad_board), T(test_slow_reader),
		T(test_bad_grants), T(test_bad_hypercalls), T(test_fuzz),
	};

	return fresh_run("xvmcd", tests, sizeof(tests) / sizeof(tests[0]), argc, argv) != 0;
}
