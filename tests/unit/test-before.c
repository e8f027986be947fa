/* SPDX-License-Identifier: MIT */
/*
 * A connection before it has rings, in the world of test-socket: what keeps it
 * from them, and what happens meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <unistd.h>

#include "fresh.h"
#include "socket-world.h"

#define BEHIND 100

/* A reader who is always a little behind never lets a record in: it is asked ever
 * more seldom, and does not keep the writer waiting all the time. */
static void test_always_behind(void **state)
{
	uint64_t now, begin = 0, end = os_now_ns() + 20000000000u, before = 0;
	char buf[BEHIND] = "";

	(void)state;
	guest_send(&w.pair, 1, buf, sizeof(buf));
	do {
		guest_send(&w.pair, 1, buf, 1);
		recv_all(0, buf, 1);
		now = os_now_ns();
		if (!begin && stat_of(1, XVMC_S_ANN_CANCELLED) >= 8) {
			begin = now; /* it has become as seldom as it can be */
			before = stat_of(1, XVMC_S_ANN_CANCELLED);
		}
	} while (now < end && (!begin || now - begin < 1000000000u));
	assert_true(begin);
	assert_true(stat_of(1, XVMC_S_ANN_CANCELLED) - before <= 1 + (now - begin) / 20000000u);
	recv_all(0, buf, sizeof(buf));
	ping_until(on_ring, "on the ring once it has caught up");
}

/* What was to be a TCP socket by its number (fdtab.h) is none: no ring, for good. */
static void test_hint_that_lies(void **state)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	uint64_t end = os_now_ns() + 10000000000u;
	struct xvmc_ctx *ctx = &w.ctx[0];
	struct xvmc_endpoint *ep;
	socklen_t len = sizeof(sa);
	char byte = 'x';

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	xvmc_fd_made(ctx, fd, XVMC_MADE_TCP);
	xvmc_sock_connected(ctx, fd, (struct sockaddr *)&sa, len);
	ep = xvmc_ep_get(ctx, fd);
	assert_non_null(ep);
	while (ep->state != XVMC_EP_PINNED && os_now_ns() < end) {
		struct iovec vec = { &byte, 1 };

		assert_int_equal(xvmc_sock_send(ep, fd, &vec, 1, 0), 1);
		assert_int_equal(xvmc_sock_recv(ep, fd, &vec, 1, 0), 1);
	}
	assert_int_equal(ep->state, XVMC_EP_PINNED);
	assert_int_equal(ep->reason, XVMC_R_UNFOLLOWED);
	assert_int_equal(stat_of(0, XVMC_S_REGISTERED), 0);
	xvmc_sock_close(ctx, fd);
	close(fd);
	xvmc_ep_put(ep);
}

static bool is_registered(int i)
{
	return w.pair.ep[i]->state == XVMC_EP_REGISTERED;
}

/* The peer was on another host when the connection was made. */
static void test_begun_apart(void **state)
{
	int tool = agent_tool(&w.xvmcd);
	char c = 'x';

	(void)state;
	assert_int_equal(agent_domop(tool, XVMC_AG_CREATE, "vm1", "A", 0, 0), 0);
	assert_int_equal(agent_domop(tool, XVMC_AG_CREATE, "vm2", "B", 0, 0), 0);
	ping_until(is_registered, "known to xvmcd");
	for (int i = 0; i < 1000; i++) {
		guest_send(&w.pair, i % 2, &c, 1);
		recv_all(!(i % 2), &c, 1);
	}
	assert_int_equal(stat_of(0, XVMC_S_SETUPS), 0);
	assert_int_equal(agent_domop(tool, XVMC_AG_MIGRATE, "vm2", "A",
				     XVMC_MIGRATE_UNPREPARED, 0), 0);
	ping_until(on_ring, "on the ring");
	close(tool);
}

/* As a thread finds it that was woken by a record, and had to wait for a CPU until
 * the connection had its rings no more. */
static int woken_by_record(struct pollfd *fds, nfds_t n, const struct timespec *timeout,
			   const sigset_t *mask)
{
	(void)timeout;
	(void)mask;
	assert_int_equal(n, 1);
	atomic_fetch_add(&w.pair.ep[0]->managed_times, 1);
	w.ctx[0].libc.ppoll = ppoll;
	fds[0].revents = POLLIN;
	return 1;
}

static void test_word_of_a_record(void **state)
{
	struct pollfd p = { .fd = w.pair.fd[0], .events = POLLIN };
	const struct timespec short_ts = { .tv_nsec = 1000000 };

	(void)state;
	w.ctx[0].libc.ppoll = woken_by_record;
	assert_int_equal(xvmc_poll(&w.ctx[0], &p, 1, &short_ts, NULL), 0);
	assert_ptr_equal(w.ctx[0].libc.ppoll, ppoll);
	assert_int_equal(p.revents, 0);
	guest_send(&w.pair, 1, "x", 1);
	assert_int_equal(xvmc_poll(&w.ctx[0], &p, 1, NULL, NULL), 1);
	assert_int_equal(p.revents, POLLIN);
	recv_all(0, &(char){ 0 }, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_always_behind, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hint_that_lies, setup, teardown),
		cmocka_unit_test_setup_teardown(test_begun_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_word_of_a_record, setup, teardown),
	};

	return fresh_run("before", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
