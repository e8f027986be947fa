/* SPDX-License-Identifier: MIT */
/*
 * When the guests leave their rings in a prepared migration, and what is copied
 * while the moving one stands still. libxenguest's loop and a guest whose pages
 * are only counted are here.
 */
#include "fresh.h"

#include "toolstack/last-round.h"

#define ALL 40000
#define BY_LEAVING 1500 /* what was unread in the rings */

struct guest {
	long dirty;   /* since it was last asked */
	long by_ring; /* in a round */
	long by_tcp;  /* the same, once the rings have been left */
	int left;     /* how often */
	int copied;   /* rounds before the suspend */
	int after;    /* of those, since the rings were left */
	long at_rest; /* pages copied while it was suspended */
	bool aborted;
};

static void leave(void *arg)
{
	struct guest *g = arg;

	g->left++;
	g->dirty += BY_LEAVING;
}

static void copy(struct guest *g)
{
	g->copied++;
	g->after += g->left;
	g->dirty += g->left ? g->by_tcp : g->by_ring;
}

/* As libxenguest goes about it: asks, copies, asks, and takes what is dirty. */
static void migrate(struct guest *g, struct last_round *round)
{
	struct precopy_stats stats = { .dirty_count = ALL };
	int decision;

	for (;;) {
		decision = last_round_decide(round, stats);
		if (decision != XGS_POLICY_ABORT)
			copy(g);
		if (decision != XGS_POLICY_CONTINUE_PRECOPY)
			break;
		stats.iteration++;
		stats.dirty_count = -1;
		decision = last_round_decide(round, stats);
		if (decision != XGS_POLICY_CONTINUE_PRECOPY)
			break;
		stats.dirty_count = g->dirty;
		g->dirty = 0;
	}
	g->aborted = decision == XGS_POLICY_ABORT;
	if (g->aborted)
		return;
	last_round_end(round);
	g->at_rest = g->dirty;
}

static void check(struct guest *g, precopy_policy_t policy, int rounds)
{
	struct last_round round = { .policy = policy, .leave = leave, .arg = g };

	migrate(g, &round);
	assert_false(g->aborted);
	assert_int_equal(g->left, 1);
	assert_true(g->at_rest < BY_LEAVING);
	assert_int_equal(g->at_rest, g->by_tcp);
	assert_int_equal(g->copied, rounds);
	/* as late as can be */
	assert_true(g->after <= 2);
}

/* Few are left, which xl's policy says before the last round; all five are used
 * up, which it says after it. */
static void test_few_pages(void **state)
{
	struct guest g = { .by_ring = 20, .by_tcp = 900 };

	(void)state;
	check(&g, NULL, 3);
}

static void test_many_pages(void **state)
{
	struct guest g = { .by_ring = 200, .by_tcp = 900 };

	(void)state;
	check(&g, NULL, 6);
}

static int ten_rounds(struct precopy_stats stats, void *data)
{
	(void)data;
	return stats.dirty_count >= 0 && stats.iteration >= 9 ? XGS_POLICY_STOP_AND_COPY : XGS_POLICY_CONTINUE_PRECOPY;
}

static void test_policy_of_xl(void **state)
{
	struct guest g = { .by_ring = 20, .by_tcp = 900 };

	(void)state;
	check(&g, ten_rounds, 11);
}

static int gives_up(struct precopy_stats stats, void *data)
{
	(void)data;
	return stats.iteration >= 3 ? XGS_POLICY_ABORT : XGS_POLICY_CONTINUE_PRECOPY;
}

static int gives_up_late(struct precopy_stats stats, void *data)
{
	(void)data;
	return stats.iteration >= 1 ? XGS_POLICY_ABORT : XGS_POLICY_STOP_AND_COPY;
}

/* Also when the rings have been left for it. */
static void test_aborted(void **state)
{
	struct guest g = { .by_ring = 20, .by_tcp = 900 }, late = g;
	struct last_round round = { .policy = gives_up, .leave = leave, .arg = &g };

	(void)state;
	migrate(&g, &round);
	assert_true(g.aborted);
	assert_int_equal(g.left, 0);
	round = (struct last_round){ .policy = gives_up_late, .leave = leave, .arg = &late };
	migrate(&late, &round);
	assert_true(late.aborted);
	assert_int_equal(late.left, 1);
}

/* Nobody asks in a migration of a guest that stands still from the beginning. */
static void test_not_live(void **state)
{
	struct guest g = { 0 };
	struct last_round round = { .leave = leave, .arg = &g };

	(void)state;
	last_round_end(&round);
	last_round_end(&round);
	assert_int_equal(g.left, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_few_pages),
		cmocka_unit_test(test_many_pages),
		cmocka_unit_test(test_policy_of_xl),
		cmocka_unit_test(test_aborted),
		cmocka_unit_test(test_not_live),
	};

	return fresh_run("last round", tests, sizeof(tests) / sizeof(tests[0]), argc, argv) != 0;
}
