/* SPDX-License-Identifier: MIT */
/*
 * VMs[] from a board that is written here, as xvmcd in a Xen guest writes it:
 * who is here, who may arrive, and who is nobody; and a connection that began
 * while its peer was on another host, which is worth a ring once the peer has
 * arrived, and not before.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fresh.h"
#include "guests.h"
#include "vms/vms.h"

static char dir[64];
static struct xvmc_board *board;

static struct in6_addr ip_of(const char *text)
{
	struct in6_addr ip = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

	if (inet_pton(AF_INET, text, &ip.s6_addr[12]) != 1)
		assert_int_equal(inet_pton(AF_INET6, text, &ip), 1);
	return ip;
}

static void net_add(const char *own, uint32_t bits)
{
	struct xvmc_board_net *net = &board->net[board->nnets++];

	net->addr = ip_of(own);
	net->bits = bits;
	board->seq += 2;
}

static void guest_arrives(unsigned int slot, const char *addr)
{
	board->dom[slot] = (struct xvmc_board_dom){
		.in_use = 1, .domid = slot + 1, .naddrs = 1, .addr = { ip_of(addr) }
	};
	board->seq += 2;
}

static int setup(void **state)
{
	char path[80];
	int fd;

	(void)state;
	strcpy(dir, "/tmp/xvmc-test-vms.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/board", dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, XVMC_BOARD_SIZE), 0);
	board = mmap(NULL, XVMC_BOARD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(board != MAP_FAILED);
	close(fd);
	board->magic = XVMC_BOARD_MAGIC;
	board->version = XVMC_AGENT_VERSION;
	return 0;
}

static int teardown(void **state)
{
	char path[80];

	(void)state;
	munmap(board, XVMC_BOARD_SIZE);
	snprintf(path, sizeof(path), "%s/board", dir);
	unlink(path);
	assert_int_equal(rmdir(dir), 0);
	return 0;
}

static enum vms_who who(struct vms *vms, const char *addr)
{
	struct in6_addr ip = ip_of(addr);
	enum vms_who found;
	uint32_t seq;

	found = vms_look(vms, &ip, &seq);
	assert_int_equal(seq, vms_seq(vms));
	return found;
}

static void test_networks(void **state)
{
	struct vms *vms;

	(void)state;
	net_add("10.9.0.1", 96 + 20);
	net_add("fd00:1:2:3::1", 64);
	net_add("192.0.2.1", 128);
	net_add("198.51.100.1", 0); /* no mask: no network */
	assert_int_equal(vms_open(dir, &vms), 0);
	assert_int_equal(who(vms, "10.9.0.2"), VMS_ABSENT);
	assert_int_equal(who(vms, "10.9.15.255"), VMS_ABSENT);
	assert_int_equal(who(vms, "10.9.16.0"), VMS_NOBODY);
	assert_int_equal(who(vms, "10.8.0.2"), VMS_NOBODY);
	assert_int_equal(who(vms, "10.9.0.1"), VMS_NOBODY); /* we */
	assert_int_equal(who(vms, "192.0.2.1"), VMS_NOBODY);
	assert_int_equal(who(vms, "192.0.2.2"), VMS_NOBODY);
	assert_int_equal(who(vms, "203.0.113.1"), VMS_NOBODY);
	assert_int_equal(who(vms, "127.0.0.1"), VMS_NOBODY);
	assert_int_equal(who(vms, "fd00:1:2:3:ffff::2"), VMS_ABSENT);
	assert_int_equal(who(vms, "fd00:1:2:4::2"), VMS_NOBODY);

	guest_arrives(3, "10.9.0.2");
	assert_int_equal(who(vms, "10.9.0.2"), VMS_GUEST);
	assert_int_equal(who(vms, "10.9.0.3"), VMS_ABSENT);
	guest_arrives(4, "203.0.113.1"); /* dom0 says so, whatever our networks are */
	assert_int_equal(who(vms, "203.0.113.1"), VMS_GUEST);
	board->dom[3].in_use = 0;
	board->seq += 2;
	assert_int_equal(who(vms, "10.9.0.2"), VMS_ABSENT);
	vms_close(vms);
}

/* The local backend's board has all hosts' domains. */
static void test_local_has_no_networks(void **state)
{
	struct vms *vms;

	(void)state;
	board->local = 1;
	net_add("10.9.0.1", 96 + 24);
	assert_int_equal(vms_open(dir, &vms), 0);
	assert_int_equal(who(vms, "10.9.0.2"), VMS_NOBODY);
	assert_int_equal(who(vms, "127.0.0.1"), VMS_GUEST);
	vms_close(vms);
}

/* ---- a connection that began apart ---- */

static struct xvmc_ctx ctx;
static int fds[2]; /* ours, the peer's */

/* Over loopback; the peer's address is what accept might have said. */
static struct xvmc_endpoint *connected(const char *peer)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(l, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&sa, &len), 0);
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fds[0], (struct sockaddr *)&sa, sizeof(sa)), 0);
	fds[1] = accept(l, NULL, NULL);
	assert_true(fds[1] >= 0);
	close(l);
	assert_int_equal(inet_pton(AF_INET, peer, &sa.sin_addr), 1);
	xvmc_sock_connected(&ctx, fds[0], (struct sockaddr *)&sa, sizeof(sa));
	return xvmc_ep_get(&ctx, fds[0]);
}

/* More calls than make a connection worth a ring, each of a byte there. */
static void talk(struct xvmc_endpoint *ep)
{
	char byte = 'x';

	for (unsigned int i = 0; i < 2 * ctx.opt.min_ops; i++) {
		struct iovec vec = { .iov_base = &byte, .iov_len = 1 };

		assert_int_equal(xvmc_sock_send(ep, fds[0], &vec, 1, 0), 1);
		assert_int_equal(read(fds[1], &byte, 1), 1);
	}
}

static void hang_up(struct xvmc_endpoint *ep)
{
	xvmc_sock_close(&ctx, fds[0]);
	close(fds[0]);
	close(fds[1]);
	xvmc_ep_put(ep);
}

static void test_arrival(void **state)
{
	struct xvmc_endpoint *ep;

	(void)state;
	net_add("10.9.0.1", 96 + 24);
	guest_make(&ctx, dir, "guest");
	ep = connected("10.9.0.2");
	assert_non_null(ep);
	talk(ep);
	assert_int_equal(ep->state, XVMC_EP_TRACKED);
	assert_null(ctx.service);
	guest_arrives(1, "10.9.0.3"); /* somebody else */
	talk(ep);
	assert_int_equal(ep->state, XVMC_EP_TRACKED);
	assert_null(ctx.service); /* not a thread for nothing */

	guest_arrives(2, "10.9.0.2");
	talk(ep);
	assert_int_not_equal(ep->state, XVMC_EP_TRACKED);
	assert_non_null(ctx.service);
	hang_up(ep);
	xvmc_ctx_deinit(&ctx);
}

static void test_nobody_is_not_followed(void **state)
{
	(void)state;
	net_add("10.9.0.1", 96 + 24);
	guest_make(&ctx, dir, "guest");
	assert_null(connected("10.9.1.2"));
	close(fds[0]);
	close(fds[1]);
	xvmc_ctx_deinit(&ctx);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_networks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_local_has_no_networks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_arrival, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nobody_is_not_followed, setup, teardown),
	};

	return fresh_run("vms", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
