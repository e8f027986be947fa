/* SPDX-License-Identifier: MIT */
/*
 * conn_t that lets go of the peer's pages before the peer has left its ring: dead,
 * slow, or, against what was thought, alive and at it.
 */
#include <errno.h>
#include <string.h>

#include "conn-pair.h"

#define A 0u
#define B 1u

/* B, which was told that A's guest has left. */
static void let_go(struct pair *p)
{
	xvmc_conn_tx_leave(&p->c[B], XVMC_R_MIGRATE_PEER, true);
	assert_int_equal(xvmc_conn_let_go(&p->c[B]), 0);
	pair_validate(p);
	assert_true(pair_events(p, B) & XVMC_EV_RX_CHANGED);
}

static unsigned int regions_of(const struct pair *p, unsigned int guest)
{
	unsigned int n = 0;

	for (size_t i = 0; i < SIM_OBJECTS; i++) {
		n += p->hv.map[i].used && p->hv.map[i].guest == guest && !p->hv.map[i].kept;
		n += p->hv.share[i].used && p->hv.share[i].guest == guest && !p->hv.share[i].kept;
	}
	return n;
}

static void both_on_ring(struct pair *p)
{
	for (unsigned int i = 0; i < 2; i++) {
		pair_attach(p, i, 0);
		pair_to_ring(p, i);
	}
}

static void test_refused_on_ring(void **state)
{
	struct pair *p = *state;

	both_on_ring(p);
	assert_int_equal(xvmc_conn_let_go(&p->c[B]), -EBUSY);
	assert_false(p->c[B].rx.kept);
}

/* All that was in the ring can be read, and nothing of the peer is held. */
static void test_unread(void **state)
{
	struct pair *p = *state;

	both_on_ring(p);
	pair_write(p, A, 3000);
	pair_read_all(p, B, 1000);
	assert_int_equal(regions_of(p, B), 4);
	let_go(p);
	assert_int_equal(regions_of(p, B), 0);
	assert_true(xvmc_conn_rx_ready(&p->c[B]) > 0);
	assert_int_equal(pair_read(p, B, 3000, false), 2000);
	assert_int_equal(pair_read(p, B, 1, false), -EAGAIN);
	/* Who thinks that it has died would take the end of TCP for its word. */
	assert_true(ring_reader_lives(p->c[A].tx.s.r));
}

/* What the peer has not read is said again, from memory of our own. */
static void test_replay(void **state)
{
	struct pair *p = *state;

	both_on_ring(p);
	p->tcp.pipe[B].sndbuf = 100;
	pair_write(p, B, 3000);
	let_go(p);
	assert_true(xvmc_conn_tx_pending(&p->c[B]));
	pair_read_all(p, A, 3000);
}

/* The peer lives, and writes into a ring that nobody looks at. */
static void test_peer_writes_on(void **state)
{
	struct pair *p = *state;

	both_on_ring(p);
	pair_write(p, A, 500);
	let_go(p);
	assert_int_equal(p->c[A].tx.path, XVMC_PATH_RING);
	pair_write(p, A, 700);
	assert_int_equal(p->c[A].tx.path, XVMC_PATH_TCP);
	pair_write(p, A, 300);
	pair_read_all(p, B, 1500);
	assert_int_equal(p->c[B].rx.path, XVMC_PATH_TCP);
	/* And announces no more in these pages. */
	assert_int_equal(xvmc_conn_tx_announce(&p->c[A], 0), -EPIPE);
}

/* It was about to enter its ring, and does; its next write tells it. */
static void test_peer_enters(void **state)
{
	struct pair *p = *state;

	pair_attach(p, A, 0);
	pair_agree(p, A);
	let_go(p);
	assert_int_equal(xvmc_conn_tx_settle(&p->c[A], 0, false), 0);
	pair_write(p, A, 700);
	assert_int_equal(p->c[A].tx.path, XVMC_PATH_TCP);
	pair_read_all(p, B, 700);
	assert_int_equal(p->c[B].rx.path, XVMC_PATH_TCP);
}

/* An announcement that comes afterwards is nobody's to answer. */
static void test_peer_announces(void **state)
{
	struct pair *p = *state;

	pair_attach(p, A, 0);
	assert_int_equal(xvmc_conn_tx_announce(&p->c[A], 0), 0);
	let_go(p);
	assert_int_equal(xvmc_conn_rx_ack(&p->c[B], 0, 0), 0);
	assert_int_equal(p->c[B].rx.expect, XVMC_POS_NONE);
	assert_int_equal(xvmc_conn_tx_settle(&p->c[A], 0, true), -ECANCELED);
	pair_write(p, A, 100);
	pair_read_all(p, B, 100);
}

/* Its death afterwards is proven by nothing that we have. */
static void test_dies_later(void **state)
{
	struct pair *p = *state;

	both_on_ring(p);
	pair_write(p, A, 1000);
	let_go(p);
	pair_kill(p, A);
	pair_drain(p, 1000);
	assert_int_equal(pair_read(p, B, 1, false), -ECONNRESET);
}

/* Nor where nobody tells how a process ends: the nonce is ours as well. */
static void test_dies_later_untold(void **state)
{
	struct pair *p = *state;

	p->hv.untold = true;
	test_dies_later(state);
}

/* Before: then all it had to say was there. */
static void test_died_before(void **state)
{
	struct pair *p = *state;

	both_on_ring(p);
	pair_write(p, A, 1000);
	sim_hv_kill(&p->hv, A);
	while (sim_hv_settle(&p->hv))
		;
	let_go(p);
	pair_kill(p, A);
	pair_drain(p, 1000);
	assert_int_equal(pair_read(p, B, 1, false), 0);
}

/* Nor does our page say whether we have moved, once it is only ours. */
static void test_old_byte(void **state)
{
	struct pair *p = *state;

	both_on_ring(p);
	let_go(p);
	ring_stop_reading(p->c[B].tx.s.r);
	assert_false(xvmc_conn_reader_gone(&p->c[B]));
}

/* What is ours alone stays when we migrate. */
static void test_we_move(void **state)
{
	struct pair *p = *state;

	both_on_ring(p);
	pair_write(p, A, 1000);
	let_go(p);
	sim_hv_migrate(&p->hv, B, 1);
	assert_int_equal(pair_read(p, B, 1000, false), 1000);
}

/* We have moved already: there is nothing to be had of a hole. */
static void test_we_have_moved(void **state)
{
	struct pair *p = *state;

	both_on_ring(p);
	pair_write(p, A, 1000);
	xvmc_conn_tx_leave(&p->c[B], XVMC_R_MIGRATE_PEER, true);
	sim_hv_migrate(&p->hv, B, 1);
	assert_int_equal(xvmc_conn_let_go(&p->c[B]), -ESTALE);
	assert_true(p->c[B].rx.gone);
	assert_true(pair_events(p, B) & XVMC_EV_GONE);
	assert_int_equal(pair_read(p, B, 1000, false), -EAGAIN);
	xvmc_conn_tx_leave(&p->c[A], XVMC_R_PEER_LEFT, false);
	pair_read_all(p, B, 1000);
}

/* Whatever fails, it can be tried again, and reading goes on meanwhile. */
static void test_no_memory(void **state)
{
	struct pair *p = *state;

	for (unsigned int n = 1; n <= 4; n++) {
		both_on_ring(p);
		pair_write(p, A, 1000);
		xvmc_conn_tx_leave(&p->c[B], XVMC_R_MIGRATE_PEER, true);
		p->hv.fail_at = p->hv.allocs + n;
		assert_true(xvmc_conn_let_go(&p->c[B]) < 0);
		pair_validate(p);
		assert_int_equal(pair_read(p, B, 400, false), 400);
		assert_int_equal(xvmc_conn_let_go(&p->c[B]), 0);
		assert_int_equal(regions_of(p, B), 0);
		assert_int_equal(pair_read(p, B, 1000, false), 600);
		pair_renew(p);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_refused_on_ring),
		TEST(test_unread),
		TEST(test_replay),
		TEST(test_peer_writes_on),
		TEST(test_peer_enters),
		TEST(test_peer_announces),
		TEST(test_dies_later),
		TEST(test_dies_later_untold),
		TEST(test_died_before),
		TEST(test_old_byte),
		TEST(test_we_move),
		TEST(test_we_have_moved),
		TEST(test_no_memory),
	};

	return fresh_run("conn-let-go", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
