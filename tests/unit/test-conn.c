/* SPDX-License-Identifier: MIT */
/*
 * conn_t step by step: set-up, the way to the ring and back, records. What the
 * simulation does at random is done here on purpose, one thing at a time. What
 * a reader meets: test-conn-read.c; how streams end: test-conn-end.c.
 */
#include <errno.h>
#include <string.h>

#include "conn-pair.h"
#include "migrate/migrate.h"

#define A 0u
#define B 1u

/* ---- migration ---- */

/* xvmcd ends a link when one end has left; the other may have bytes in the
 * ring still, and says "prepared" only without. */
static void test_concerns(void **state)
{
	struct conn_t c = { .link = 0, .peer_domid = 7 };
	struct migrate_event self = { .old_domid = 3, .self = true };
	struct migrate_event peer = { .old_domid = 7 }, other = { .old_domid = 8 };

	(void)state;
	for (c.link = 0; c.link < 2; c.link++) {
		assert_true(migrate_concerns(&c, &self));
		assert_true(migrate_concerns(&c, &peer));
		assert_false(migrate_concerns(&c, &other));
	}
	c.link = 0;
	c.peer_domid = XVMC_DOMID_NONE;
	assert_false(migrate_concerns(&c, &self));
	assert_false(migrate_concerns(&c, &peer));
}

/* ---- records ---- */

static void test_record_bits(void **state)
{
	uint8_t nonce[XVMC_NONCE_LEN] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
	struct xvmc_record rec, bad;

	xvmc_record_make(&rec, nonce, 5, XVMC_PATH_TCP, XVMC_R_LRU, XVMC_REC_BOTH, 1000, 77);
	assert_true(xvmc_record_check(&rec, nonce));
	for (size_t bit = 0; bit < 8 * sizeof(rec); bit++) {
		bad = rec;
		((uint8_t *)&bad)[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_false(xvmc_record_check(&bad, nonce));
	}
	nonce[3] ^= 1;
	assert_false(xvmc_record_check(&rec, nonce));
}

static void test_record_sense(void **state)
{
	uint8_t nonce[XVMC_NONCE_LEN] = { 9 };
	struct xvmc_record rec;

	xvmc_record_make(&rec, nonce, 1, XVMC_PATH_RING, 0, 0, 10, 0);
	assert_true(xvmc_record_check(&rec, nonce));
	xvmc_record_make(&rec, nonce, 1, XVMC_PATH_RING, 0, 0, 10, 1);
	assert_false(xvmc_record_check(&rec, nonce));
	xvmc_record_make(&rec, nonce, 1, (enum xvmc_path)2, 0, 0, 10, 0);
	assert_false(xvmc_record_check(&rec, nonce));
	xvmc_record_make(&rec, nonce, 1, XVMC_PATH_TCP, 0, 0, UINT64_MAX - 5, 5);
	assert_true(xvmc_record_check(&rec, nonce));
	xvmc_record_make(&rec, nonce, 1, XVMC_PATH_TCP, 0, 0, UINT64_MAX - 5, 6);
	assert_false(xvmc_record_check(&rec, nonce));
}

/* ---- there and back ---- */

/* An acknowledgement that its sender did not see, having migrated: the bytes that come
 * in place of the record are the application's, and whoever sleeps for them is told,
 * for the kernel has them no more. */
static void test_acked_unseen(void **state)
{
	struct pair *p = *state;

	pair_attach(p, A, 0);
	pair_agree(p, A);
	p->c[A].tx.announced = false;
	assert_int_equal(pair_write(p, A, 5), 5);
	pair_deliver(p);
	pair_events(p, B);
	xvmc_conn_rx_pump(&p->c[B]);
	assert_true(pair_events(p, B) & XVMC_EV_RX_CHANGED);
	pair_read_all(p, B, 5);
}

static void test_there_and_back(void **state)
{
	struct pair *p = *state;

	for (unsigned int order = 0; order <= SIM_ORDER_MAX; order++) {
		pair_attach(p, A, order);
		pair_attach(p, B, order);
		for (int i = 0; i < 5; i++) {
			assert_int_equal(pair_write(p, A, 1000), 1000);
			pair_to_ring(p, B);
			pair_read_all(p, B, 1000);
			pair_to_ring(p, A);
			assert_int_equal(pair_write(p, A, 3000), 3000);
			assert_int_equal(pair_write(p, B, 4000), 4000);
			pair_read_all(p, B, 1234);
			assert_int_equal(pair_read(p, A, 10, true), 10);
			xvmc_conn_tx_leave(&p->c[A], XVMC_R_DEMOTED, true);
			pair_validate(p);
			/* the sender knows what was consumed, unless it moved */
			assert_int_equal(p->c[A].tx.replay_pos, p->c[A].tx.sent);
			assert_int_equal(pair_write(p, A, 50), 50);
			pair_read_all(p, B, 3000 - 1234 + 50);
			assert_true(pair_events(p, B) & XVMC_EV_FOLLOW);
			xvmc_conn_tx_leave(&p->c[B], XVMC_R_PEER_LEFT, false);
			pair_read_all(p, A, 4000);
			assert_false(pair_events(p, A) & XVMC_EV_FOLLOW);
		}
		for (unsigned int i = 0; i < 2; i++) {
			assert_true(xvmc_conn_tx_idle(&p->c[i]));
			assert_true(xvmc_conn_rx_idle(&p->c[i]));
			xvmc_conn_tx_detach(&p->c[i]);
			xvmc_conn_rx_detach(&p->c[i]);
		}
	}
	assert_int_equal(p->stats[A].value[XVMC_S_TO_RING], 15);
	assert_int_equal(p->stats[A].value[XVMC_S_TO_TCP], 15);
	assert_int_equal(p->stats[B].value[XVMC_S_RING_RX_BYTES], p->c[A].tx.ring_bytes -
			 p->stats[A].value[XVMC_S_REPLAY_BYTES]);
	assert_int_equal(p->stats[A].value[XVMC_S_RESETS], 0);
}

/* What the peer consumed without our knowing comes again, and is discarded. */
static void test_old_cons(void **state)
{
	struct pair *p = *state;

	pair_attach(p, A, 0);
	pair_to_ring(p, A);
	pair_write(p, A, 2000);
	sim_hv_snapshot(&p->hv, A);
	pair_read_all(p, B, 1500);
	sim_hv_migrate(&p->hv, A, 1);
	xvmc_conn_tx_leave(&p->c[A], XVMC_R_MIGRATE_SELF, true);
	assert_true(p->stats[A].value[XVMC_S_REPLAY_BYTES] >= 500);
	pair_write(p, A, 100);
	pair_read_all(p, B, 600);
	assert_int_equal(pair_read(p, B, 1, false), -EAGAIN);
}

static void test_no_answer(void **state)
{
	struct pair *p = *state;
	struct conn_t *a = &p->c[A];

	pair_attach(p, A, 0);
	a->announce_ns = 1000;
	assert_int_equal(xvmc_conn_tx_announce(a, 5000), 0);
	assert_int_equal(xvmc_conn_tx_announce(a, 5000), -EAGAIN);
	/* While nobody waits for it, it may take longer. */
	assert_int_equal(xvmc_conn_tx_settle(a, 20999, false), -EBUSY);
	assert_false(xvmc_conn_tx_idle(a));
	assert_int_equal(xvmc_conn_tx_settle(a, 21000, false), -ECANCELED);
	assert_true(xvmc_conn_tx_idle(a));
	assert_int_equal(xvmc_conn_tx_announce(a, 30000), 0);
	a->tx.ann_wait_ns = 31000; /* a writer */
	assert_int_equal(xvmc_conn_tx_settle(a, 31999, false), -EBUSY);
	assert_int_equal(xvmc_conn_tx_settle(a, 32000, false), -ECANCELED);
	/* Too late: nothing to acknowledge any more. */
	assert_int_equal(xvmc_conn_rx_ack(&p->c[B], 0, 0), 0);
	assert_int_equal(pair_write(p, A, 10), 10);
	pair_read_all(p, B, 10);
	/* The next one has nothing to do with it. */
	pair_to_ring(p, A);
	/* Before the time is over, but nobody wants to wait. */
	xvmc_conn_tx_leave(a, XVMC_R_LRU, false);
	pair_read_all(p, B, 0);
	xvmc_conn_rx_pump(&p->c[B]);
	assert_int_equal(xvmc_conn_tx_announce(a, 0), 0);
	assert_int_equal(xvmc_conn_tx_settle(a, 0, true), -ECANCELED);
}

#define LOOK 1000 /* between two looks of the writer, ns */

/* A writer waits for a reader who has 1000 bytes to read yet, and reads so many of
 * them between two looks. How often was he waited for? */
static unsigned int waits_for(struct pair *p, size_t each)
{
	struct conn_t *a = &p->c[A], *b = &p->c[B];
	uint64_t now = 1;
	unsigned int looks = 0;

	a->announce_ns = LOOK;
	b->rx.hand_over = true;
	pair_write(p, A, 1000);
	pair_deliver(p);
	assert_int_equal(xvmc_conn_tx_announce(a, now), 0);
	a->tx.ann_wait_ns = now;
	do {
		pair_read(p, B, each, false);
		xvmc_conn_rx_ack(b, 0, 0); /* as with each call */
		now += LOOK;
		looks++;
	} while (xvmc_conn_tx_settle(a, now, false) == -EBUSY);
	return looks;
}

/* Nobody loses by waiting for one who reads fast; for a slow one nobody waits long. */
static void test_reader_comes(void **state)
{
	struct pair *p = *state;

	pair_attach(p, A, 0);
	assert_int_equal(waits_for(p, 100), 10);
	assert_int_equal(p->c[A].tx.path, XVMC_PATH_RING);
	pair_read_all(p, B, 0);
}

static void test_reader_is_slow(void **state)
{
	struct pair *p = *state;

	pair_attach(p, A, 0);
	assert_int_equal(waits_for(p, 20), 1);
	assert_int_equal(p->c[A].tx.path, XVMC_PATH_TCP);
	pair_read_all(p, B, 1000 - 20);
	/* He does not read at all, though he did before: that, too, he says only now. */
	assert_int_equal(waits_for(p, 0), 2);
	assert_int_equal(p->c[A].tx.path, XVMC_PATH_TCP);
	pair_read_all(p, B, 1000);
}

/* It says that it comes and does not, or that it has read what was never sent. */
static void test_reader_lies(void **state)
{
	struct pair *p = *state;
	struct conn_t *a = &p->c[A];
	uint64_t now = 1, said = 0;

	pair_attach(p, A, 0);
	a->announce_ns = LOOK;
	pair_write(p, A, 1000);
	assert_int_equal(xvmc_conn_tx_announce(a, now), 0);
	a->tx.ann_wait_ns = now;
	do {
		said += 60;
		ring_release(a->tx.s.r, said);
		now += LOOK;
	} while (xvmc_conn_tx_settle(a, now, false) == -EBUSY);
	assert_true(now <= 1 + (XVMC_PATIENCE + 1) * LOOK);
	ring_release(a->tx.s.r, 0);
	assert_int_equal(xvmc_conn_tx_announce(a, now), 0);
	a->tx.ann_wait_ns = now;
	ring_release(a->tx.s.r, 1001);
	assert_int_equal(xvmc_conn_tx_settle(a, now + LOOK, false), -ECANCELED);
	pair_read_all(p, B, 1000);
}

/* No record is let in behind a few bytes that are still to be read. */
static void test_few_unread(void **state)
{
	struct pair *p = *state;
	struct conn_t *b = &p->c[B];

	b->few = 100;
	pair_attach(p, A, 0);
	pair_write(p, A, 100);
	assert_int_equal(xvmc_conn_tx_announce(&p->c[A], 0), 0);
	assert_int_equal(xvmc_conn_rx_ack(b, 0, 0), 0); /* under way */
	pair_deliver(p);
	assert_int_equal(xvmc_conn_rx_ack(b, 0, 0), 0);
	pair_read_all(p, B, 99);
	assert_int_equal(xvmc_conn_rx_ack(b, 0, 0), 0);
	pair_read_all(p, B, 1);
	assert_int_equal(xvmc_conn_rx_ack(b, 0, 0), 1);
	assert_int_equal(xvmc_conn_tx_settle(&p->c[A], 0, false), 0);
	pair_write(p, A, 10);
	pair_read_all(p, B, 10);
	xvmc_conn_tx_leave(&p->c[A], XVMC_R_DEMOTED, false);
	pair_write(p, A, 101);
	pair_deliver(p);
	xvmc_conn_rx_pump(b);
	/* Of more than a few nobody knows when they are read. */
	pair_agree(p, A);
	assert_int_equal(xvmc_conn_tx_settle(&p->c[A], 0, false), 0);
	pair_write(p, A, 10);
	pair_read_all(p, B, 111);
	assert_int_equal(b->rx.path, XVMC_PATH_RING);
}

/* The answer came after all: then the ring it is, for a moment. */
static void test_leave_acked(void **state)
{
	struct pair *p = *state;

	pair_attach(p, A, 0);
	pair_write(p, A, 100);
	pair_agree(p, A);
	xvmc_conn_tx_leave(&p->c[A], XVMC_R_CLOSE, false);
	pair_validate(p);
	assert_int_equal(p->c[A].tx.path, XVMC_PATH_TCP);
	assert_int_equal(p->c[A].tx.extra, 2 * sizeof(struct xvmc_record));
	pair_write(p, A, 100);
	pair_read_all(p, B, 200);
	assert_int_equal(p->c[B].rx.path, XVMC_PATH_TCP);
	assert_int_equal(p->c[B].rx.extra, 2 * sizeof(struct xvmc_record));
}

/* A record that TCP has no room for goes first: the ring's room is of no use
 * until then, and a sleeper is told when it is out. */
static void test_record_waits(void **state)
{
	struct pair *p = *state;

	p->tcp.pipe[A].sndbuf = 1000;
	pair_attach(p, A, 0);
	pair_agree(p, A);
	p->tcp.pipe[A].sndbuf = 20;
	assert_int_equal(xvmc_conn_tx_settle(&p->c[A], 0, false), 0);
	assert_int_equal(p->c[A].tx.path, XVMC_PATH_RING);
	assert_int_equal(pair_write(p, A, 10), -EAGAIN);
	assert_true(pair_events(p, A) & XVMC_EV_PENDING);
	assert_false(xvmc_conn_tx_arm(&p->c[A], 1));
	pair_deliver(p);
	assert_int_equal(xvmc_conn_tx_flush(&p->c[A]), -EAGAIN);
	assert_false(pair_events(p, A) & XVMC_EV_TX_CHANGED);
	pair_deliver(p);
	assert_int_equal(xvmc_conn_tx_flush(&p->c[A]), 0);
	assert_true(pair_events(p, A) & XVMC_EV_TX_CHANGED);
	assert_true(xvmc_conn_tx_arm(&p->c[A], 1));
	assert_int_equal(pair_write(p, A, 10), 10);
	pair_read_all(p, B, 10);
	assert_int_equal(xvmc_conn_tx_flush(&p->c[A]), 0);
	assert_false(pair_events(p, A) & XVMC_EV_TX_CHANGED); /* nothing waited */
}

static void test_counts_differ(void **state)
{
	struct pair *p = *state;
	uint8_t sink[100];

	pair_attach(p, A, 0);
	/* Bytes that bypassed us, at the sender, then at the receiver. */
	sim_tcp_send(&p->tcp.sock[A], "x", 1);
	assert_int_equal(xvmc_conn_tx_announce(&p->c[A], 0), -EBADMSG);
	p->c[A].tx.sent++;
	pair_write(p, A, 9);
	pair_deliver(p);
	sim_tcp_recv(&p->tcp.sock[B], sink, 5, false);
	assert_int_equal(xvmc_conn_tx_announce(&p->c[A], 0), 0);
	/* Once may be an old page; the second one is believed. */
	assert_int_equal(xvmc_conn_rx_ack(&p->c[B], 0, 0), 0);
	assert_int_equal(xvmc_conn_rx_ack(&p->c[B], 0, 0), 0);
	xvmc_conn_tx_settle(&p->c[A], 0, true);
	assert_int_equal(xvmc_conn_tx_announce(&p->c[A], 0), 0);
	assert_int_equal(xvmc_conn_rx_ack(&p->c[B], 0, 0), -EBADMSG);
	assert_int_equal(p->c[B].rx.reason, XVMC_R_COUNT_MISMATCH);
	xvmc_conn_tx_settle(&p->c[A], 0, true);
}

/* A guest that migrates while it asks leaves a page that asks for ever. */
static void test_asks_for_ever(void **state)
{
	struct pair *p = *state;

	pair_attach(p, A, 0);
	assert_int_equal(xvmc_conn_tx_announce(&p->c[A], 0), 0);
	sim_hv_migrate(&p->hv, A, 1);
	xvmc_conn_tx_settle(&p->c[A], 0, true);
	pair_write(p, A, 500);
	pair_read_all(p, B, 500);
	for (int i = 0; i < 10; i++)
		assert_int_equal(xvmc_conn_rx_ack(&p->c[B], 0, 0), 0);
	assert_int_not_equal(p->c[B].rx.reason, XVMC_R_COUNT_MISMATCH);
}

static void test_strict(void **state)
{
	struct pair *p = *state;

	pair_attach(p, A, 0);
	p->c[B].strict = true;
	pair_write(p, A, 100);
	assert_int_equal(xvmc_conn_tx_announce(&p->c[A], 0), 0);
	assert_int_equal(xvmc_conn_rx_ack(&p->c[B], 0, 0), 0); /* not all there */
	pair_deliver(p);
	assert_int_equal(xvmc_conn_rx_ack(&p->c[B], 0, 0), 1);
	xvmc_conn_tx_settle(&p->c[A], 0, false);
	pair_write(p, A, 100);
	pair_read_all(p, B, 200);
}

static void test_many_waiters(void **state)
{
	struct pair *p = *state;

	pair_attach(p, A, 0);
	assert_int_equal(xvmc_conn_tx_announce(&p->c[A], 0), 0);
	assert_int_equal(xvmc_conn_rx_ack(&p->c[B], 0, 2), 0);
	assert_int_equal(p->c[B].rx.reason, XVMC_R_MANY_WAITERS);
	assert_int_equal(xvmc_conn_rx_ack(&p->c[B], 0, 1), 1);
	xvmc_conn_tx_settle(&p->c[A], 0, false);
}

/* What a writable socket has room for goes as one piece, or not yet: so two threads
 * do not tear each other's records. More than that goes as far as it fits. */
static void test_in_one_piece(void **state)
{
	struct pair *p = *state;
	uint64_t size;

	pair_attach(p, A, 2);
	pair_attach(p, B, 2);
	pair_to_ring(p, A);
	size = p->c[A].tx.s.size;
	assert_int_equal(pair_write(p, A, size - 50), size - 50);
	assert_int_equal(pair_write(p, A, 51), -EAGAIN);
	assert_int_equal(pair_write(p, A, size / 4), -EAGAIN);
	assert_int_equal(pair_write(p, A, size / 4 + 1), 50);
	pair_read_all(p, B, 51);
	assert_int_equal(pair_write(p, A, 51), 51);
	pair_read_all(p, B, size);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_concerns),
		cmocka_unit_test(test_record_bits),
		cmocka_unit_test(test_record_sense),
		TEST(test_there_and_back),
		TEST(test_old_cons),
		TEST(test_no_answer),
		TEST(test_reader_comes),
		TEST(test_reader_is_slow),
		TEST(test_reader_lies),
		TEST(test_acked_unseen),
		TEST(test_few_unread),
		TEST(test_leave_acked),
		TEST(test_record_waits),
		TEST(test_counts_differ),
		TEST(test_asks_for_ever),
		TEST(test_strict),
		TEST(test_many_waiters),
		TEST(test_in_one_piece),
	};

	return fresh_run("conn", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
