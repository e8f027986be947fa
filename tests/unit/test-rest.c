/* SPDX-License-Identifier: MIT */
/*
 * A connection that another process has open since a fork, and asks for: this one
 * leaves its rings, and gives back what it holds and does not use, in the world of
 * test-socket.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <unistd.h>

#include "fresh.h"
#include "socket-world.h"
#include "socket/arena.h"

#define BUSY 3 /* so often somebody has the lock */

static _Atomic int asked;

int __real_fork_rest(struct xvmc_endpoint *ep);
int __wrap_fork_rest(struct xvmc_endpoint *ep);

int __wrap_fork_rest(struct xvmc_endpoint *ep)
{
	return atomic_fetch_add(&asked, 1) < BUSY ? -EBUSY : __real_fork_rest(ep);
}

/* What is not given back at once, because a thread is just sending, is later: else
 * the other process would never be alone with what it uses. */
static void test_given_back_later(void **state)
{
	struct xvmc_ctx *ctx = &w.ctx[0];
	struct xvmc_endpoint *ep = w.pair.ep[0];
	uint64_t end = os_now_ns() + 10000000000u;

	(void)state;
	ping_until(on_ring, "on the ring");
	/* A fork, as its parent sees it; the child has the connection open. */
	xvmc_ctx_fork_prepare(ctx);
	xvmc_ctx_fork_parent(ctx);
	hold_take(ep->hold, HOLD_RX); /* and reads */
	atomic_store(&asked, 0);
	os_eventfd_ring(ep->hold_arena->bell_fd);
	while (xvmc_ep_lacks(ep) != HOLD_BOTH && os_now_ns() < end)
		usleep(1000);
	assert_int_equal(xvmc_ep_lacks(ep), HOLD_BOTH);
	assert_int_equal(atomic_load(&asked), BUSY + 1);
	assert_true(hold_alone(ep->hold, HOLD_RX));
	/* The child ends. */
	hold_give(ep->hold, HOLD_RX, &(struct hold_sums){ 0 });
	hold_closed(ep->hold);
	ping_until(on_ring, "on the ring again");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_given_back_later, setup, teardown),
	};

	return fresh_run("rest", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
