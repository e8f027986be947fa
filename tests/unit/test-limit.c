/* SPDX-License-Identifier: MIT */
/*
 * More connections that are worth a ring than there may be rings
 * (XVMC_MAX_RINGS): the idle ones make way, and ask for nothing while they are
 * idle.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "fresh.h"
#include "guests.h"
#include "xvmcd.h"

#define BOUND_NS 20000000000u
#define RINGS 3
#define PAIRS 9

struct world {
	struct xvmcd_run xvmcd;
	struct xvmc_ctx ctx[2];
	struct guest_pair pair[PAIRS];
};

static struct world w;

static int setup(void **state)
{
	(void)state;
	xvmcd_start(&w.xvmcd, NULL);
	guest_make(&w.ctx[0], w.xvmcd.dir, "vm1");
	guest_make(&w.ctx[1], w.xvmcd.dir, "vm2");
	for (int i = 0; i < 2; i++)
		w.ctx[i].opt.max_rings = RINGS;
	for (int i = 0; i < PAIRS; i++)
		guest_pair_make(&w.pair[i], &w.ctx[0], &w.ctx[1]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < PAIRS; i++)
		for (int end = 0; end < 2; end++)
			guest_pair_end(&w.pair[i], end);
	for (int i = 0; i < 2; i++)
		xvmc_ctx_deinit(&w.ctx[i]);
	xvmcd_stop(&w.xvmcd);
	return 0;
}

static int rings(void)
{
	int n = 0;

	for (int i = 0; i < PAIRS; i++)
		n += guest_both_on_ring(&w.pair[i]);
	return n;
}

/* In use, it gets to a ring: only it is used meanwhile. */
static void bring_to_ring(struct guest_pair *p)
{
	uint64_t end = os_now_ns() + BOUND_NS;

	while (!guest_both_on_ring(p)) {
		assert_true(os_now_ns() < end);
		guest_trip(p);
	}
}

/* Set-ups, switches and refusals so far, at both ends: whatever moves. */
static uint64_t moves(void)
{
	uint64_t sum = 0;

	for (int i = 0; i < 2; i++)
		for (unsigned int s = 0; s < XVMC_S_COUNT; s++)
			if (s == XVMC_S_SETUPS || s == XVMC_S_TO_RING || s == XVMC_S_TO_TCP ||
			    s == XVMC_S_REGISTERED || s >= XVMC_S_REASON0)
				sum += w.ctx[i].stats->value[s];
	return sum;
}

static uint64_t refused(void)
{
	return w.ctx[0].stats->value[XVMC_S_REASON0 + XVMC_R_LRU] +
	       w.ctx[1].stats->value[XVMC_S_REASON0 + XVMC_R_LRU];
}

/* Nothing moves any more, for two seconds: longer than xvmcd waits before it
 * matches two ends again. */
static void expect_rest(void)
{
	uint64_t end = os_now_ns() + BOUND_NS, now, since = 0, before = 0;

	do {
		now = moves();
		if (now != before)
			since = os_now_ns();
		before = now;
		assert_true(os_now_ns() < end);
		usleep(10000);
	} while (os_now_ns() - since < 2000000000u);
}

static void make_all_worth_it(void)
{
	uint64_t end = os_now_ns() + BOUND_NS;

	for (int i = 0; i < RINGS; i++)
		bring_to_ring(&w.pair[i]);
	while (refused() < PAIRS - RINGS) {
		assert_true(os_now_ns() < end);
		for (int i = 0; i < PAIRS; i++)
			guest_trip(&w.pair[i]);
	}
}

static void test_idle_are_quiet(void **state)
{
	(void)state;
	make_all_worth_it();
	expect_rest();
	assert_true(rings() <= RINGS);
}

static void test_idle_make_way(void **state)
{
	(void)state;
	make_all_worth_it();
	expect_rest();
	for (int i = PAIRS - 1; i >= 0; i--) {
		bring_to_ring(&w.pair[i]);
		assert_true(rings() <= RINGS);
	}
	expect_rest();
	for (int i = 0; i < PAIRS; i++)
		guest_trip(&w.pair[i]);
}

/* By the operator's word they try again, idle or not. */
static void test_promoted(void **state)
{
	struct xvmc_ag_steer steer = { .to = XVMC_PATH_RING };
	uint64_t end = os_now_ns() + BOUND_NS, before;
	union agent_msg msg;
	int tool;

	(void)state;
	make_all_worth_it();
	expect_rest();
	before = moves();
	tool = agent_tool(&w.xvmcd);
	agent_send(tool, XVMC_AG_STEER, &steer, sizeof(steer));
	agent_expect(tool, XVMC_AG_END, &msg);
	close(tool);
	while (moves() == before) {
		assert_true(os_now_ns() < end);
		usleep(1000);
	}
	expect_rest();
	assert_true(rings() <= RINGS);
}

/* Uses all of them for three seconds. False: there was a pause, and nobody can say
 * that they were in use all the time. */
static bool keep_busy(void)
{
	uint64_t end = os_now_ns() + 3000000000u, now = os_now_ns(), then;

	do {
		then = now;
		for (int i = 0; i < PAIRS; i++)
			guest_trip(&w.pair[i]);
		now = os_now_ns();
	} while (now < end && now - then < 500000000u);
	return now >= end;
}

/* What is used all the time is not sent away for others that are, too. */
static void test_busy_stay(void **state)
{
	uint64_t end = os_now_ns() + 2 * BOUND_NS;

	(void)state;
	do {
		assert_true(os_now_ns() < end);
		for (int i = 0; i < RINGS; i++)
			bring_to_ring(&w.pair[i]);
	} while (!keep_busy());
	for (int i = 0; i < RINGS; i++)
		assert_true(guest_both_on_ring(&w.pair[i]));
	assert_true(refused() > 0);
	print_message("%llu refused\n", (unsigned long long)refused());
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_idle_are_quiet, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idle_make_way, setup, teardown),
		cmocka_unit_test_setup_teardown(test_promoted, setup, teardown),
		cmocka_unit_test_setup_teardown(test_busy_stay, setup, teardown),
	};

	return fresh_run("limit", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
