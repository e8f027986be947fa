/* SPDX-License-Identifier: MIT */
/*
 * conn_t where things end: shutdown, death in the middle of a record or a
 * replay, resets, lost mappings.
 */
#include <errno.h>
#include <string.h>

#include "conn-pair.h"

#define A 0u
#define B 1u

/* ---- shutdown ---- */

static void test_shutdown(void **state)
{
	struct pair *p = *state;

	p->tcp.pipe[A].sndbuf = 100; /* the replay takes several rounds */
	pair_attach(p, A, 0);
	pair_to_ring(p, A);
	pair_write(p, A, 3000);
	p->c[A].tx.fin_owed = true;
	xvmc_conn_tx_leave(&p->c[A], XVMC_R_SHUTDOWN, false);
	assert_true(xvmc_conn_tx_pending(&p->c[A]));
	assert_false(xvmc_conn_tx_idle(&p->c[A]));
	assert_false(p->tcp.pipe[A].fin_sent);
	pair_read_all(p, B, 3000);
	while (xvmc_conn_tx_flush(&p->c[A]) == -EAGAIN)
		pair_deliver(p);
	pair_deliver(p);
	xvmc_conn_rx_pump(&p->c[B]);
	assert_int_equal(pair_read(p, B, 1, false), 0);
	assert_true(xvmc_conn_tx_idle(&p->c[A]));
	assert_int_equal(p->stats[B].value[XVMC_S_RESETS], 0);
}

/* Whoever closed may still be reading our replay. */
static void test_abandon_keeps_replay(void **state)
{
	struct pair *p = *state;

	p->tcp.pipe[A].sndbuf = 100;
	pair_attach(p, A, 0);
	pair_to_ring(p, A);
	pair_write(p, A, 3000);
	xvmc_conn_tx_leave(&p->c[A], XVMC_R_SHUTDOWN, false);
	xvmc_conn_tx_abandon(&p->c[A], XVMC_R_CLOSE);
	pair_validate(p);
	assert_true(xvmc_conn_tx_pending(&p->c[A]));
	pair_read_all(p, B, 3000);
	/* From the ring itself it goes without a word. */
	pair_read_all(p, B, 0);
	while (xvmc_conn_tx_flush(&p->c[A]) == -EAGAIN)
		pair_deliver(p);
	pair_to_ring(p, A);
	pair_write(p, A, 100);
	xvmc_conn_tx_abandon(&p->c[A], XVMC_R_CLOSE);
	assert_int_equal(p->c[A].tx.path, XVMC_PATH_TCP);
	assert_false(xvmc_conn_tx_pending(&p->c[A]));
}

/* ---- the sender dies ---- */

static void test_dies_in_ring(void **state)
{
	struct pair *p = *state;

	pair_attach(p, A, 0);
	pair_to_ring(p, A);
	pair_write(p, A, 3000);
	pair_kill(p, A);
	pair_drain(p, 3000);
	assert_int_equal(pair_read(p, B, 1, false), 0);
	assert_true(pair_events(p, B) & XVMC_EV_CLOSED);
}

/* It had not read all of ours: that is a reset, told once, behind its bytes. */
static void test_dies_with_unread(void **state)
{
	struct pair *p = *state;

	for (int abandoned = 0; abandoned < 2; abandoned++) {
		pair_attach(p, A, 0);
		pair_attach(p, B, 0);
		pair_to_ring(p, A);
		pair_to_ring(p, B);
		pair_write(p, A, 3000);
		pair_write(p, B, 100);
		pair_read_all(p, A, 99);
		pair_kill(p, A);
		if (abandoned)
			xvmc_conn_tx_abandon(&p->c[B], XVMC_R_PEER_DIED);
		pair_drain(p, 3000);
		assert_int_equal(pair_read(p, B, 1, false), -ECONNRESET);
		assert_int_equal(pair_read(p, B, 1, false), 0);
		pair_renew(p);
	}
}

/* Its record went out only in part: at the expected position, and in the
 * ring; with every length. */
static void test_dies_in_record(void **state)
{
	struct pair *p = *state;

	for (size_t n = 0; n <= sizeof(struct xvmc_record); n++) {
		pair_attach(p, A, 0);
		pair_write(p, A, 10);
		pair_agree(p, A);
		pair_deliver(p);
		p->tcp.pipe[A].sndbuf = n;
		assert_int_equal(xvmc_conn_tx_settle(&p->c[A], 0, false), 0);
		assert_int_equal(p->c[A].tx.extra, n);
		pair_kill(p, A);
		pair_drain(p, 10);
		if (n == sizeof(struct xvmc_record)) { /* whole after all */
			assert_int_equal(pair_read(p, B, 1, false), -EAGAIN);
			xvmc_conn_rx_pump(&p->c[B]);
		}
		assert_int_equal(pair_read(p, B, 1, false), 0);
		assert_int_equal(pair_read(p, B, 1, false), 0);
		pair_renew(p);
	}
	for (size_t n = 0; n < sizeof(struct xvmc_record); n++) {
		pair_attach(p, A, 0);
		pair_to_ring(p, A);
		pair_write(p, A, 500);
		p->tcp.pipe[A].sndbuf = n;
		xvmc_conn_tx_leave(&p->c[A], XVMC_R_LRU, false);
		pair_deliver(p);
		xvmc_conn_rx_pump(&p->c[B]);
		assert_int_equal(pair_read(p, B, 100, false), 100);
		pair_kill(p, A);
		pair_drain(p, 400);
		assert_int_equal(pair_read(p, B, 1, false), 0);
		pair_renew(p);
	}
}

/* The answer was lost, and the last bytes look like half a record: nobody
 * knows, so never a guess. From a nonce's length on they are no accident. */
static void test_ends_like_record(void **state)
{
	struct pair *p = *state;

	for (size_t n = 1; n < XVMC_NONCE_LEN; n++) {
		struct iovec vec = { .iov_len = n };
		struct xvmc_iov it;

		p->hv.ack_old = 1000;
		pair_attach(p, A, 0);
		pair_agree(p, A);
		sim_hv_migrate(&p->hv, A, 1);
		assert_int_equal(xvmc_conn_tx_settle(&p->c[A], 0, true), -ECANCELED);
		vec.iov_base = p->c[B].rx.nonce;
		it = xvmc_iov_make(&vec, 1);
		assert_int_equal(xvmc_conn_write(&p->c[A], &it, 0), n);
		pair_kill(p, A);
		assert_int_equal(pair_read(p, B, 10, false), -EAGAIN);
		p->c[B].rx.no_proof = true;
		assert_int_equal(pair_read(p, B, 10, false), -ECONNRESET);
		pair_renew(p);
	}
}

/* The replay went out only in part: the ring still has the rest. */
static void test_dies_in_replay(void **state)
{
	struct pair *p = *state;

	for (size_t n = 0; n < 1000; n += 19) {
		pair_attach(p, A, 0);
		pair_to_ring(p, A);
		pair_write(p, A, 1000);
		pair_read_all(p, B, 300);
		p->c[A].tx.s.r->cons = 0; /* the sender knows of none of it */
		p->tcp.pipe[A].sndbuf = sizeof(struct xvmc_record) + n;
		xvmc_conn_tx_leave(&p->c[A], XVMC_R_LRU, false);
		pair_kill(p, A);
		pair_drain(p, 700);
		assert_int_equal(pair_read(p, B, 1, false), 0);
		assert_int_equal(p->stats[B].value[XVMC_S_RESETS], 0);
		pair_renew(p);
	}
}

/* The same, and the receiver's guest has moved: what is missing is gone. */
static void test_dies_in_replay_gone(void **state)
{
	struct pair *p = *state;

	for (int had_all = 0; had_all < 2; had_all++) {
		pair_attach(p, A, 0);
		pair_to_ring(p, A);
		pair_write(p, A, 1000);
		pair_read_all(p, B, had_all ? 1000 : 300);
		p->c[A].tx.s.r->cons = 0;
		p->tcp.pipe[A].sndbuf = sizeof(struct xvmc_record) + 500;
		xvmc_conn_tx_leave(&p->c[A], XVMC_R_LRU, false);
		sim_hv_migrate(&p->hv, B, 1);
		pair_kill(p, A);
		xvmc_conn_rx_pump(&p->c[B]);
		if (had_all) {
			assert_int_equal(pair_read(p, B, 1, false), 0);
		} else {
			pair_drain(p, 200);
			assert_int_equal(pair_read(p, B, 1, false), -ECONNRESET);
		}
		assert_int_equal(p->stats[B].value[XVMC_S_RESETS], !had_all);
		pair_renew(p);
	}
}

/* A zombie's pages look alive, and are short by what came after. */
static void test_dies_after_moving(void **state)
{
	struct pair *p = *state;

	pair_attach(p, A, 0);
	pair_to_ring(p, A);
	pair_write(p, A, 300);
	sim_hv_migrate(&p->hv, A, 1);
	pair_write(p, A, 200);
	pair_kill(p, A);
	pair_drain(p, 300);
	assert_int_equal(pair_read(p, B, 1, false), -EAGAIN); /* no word yet */
	assert_false(xvmc_conn_rx_ended(&p->c[B]));
	p->c[B].rx.no_proof = true; /* nor will one come */
	assert_true(xvmc_conn_rx_ended(&p->c[B]));
	assert_int_equal(pair_read(p, B, 1, false), -ECONNRESET);
}

/* The receiver's guest moves: a read notices, both directions leave. */
static void test_receiver_moves(void **state)
{
	struct pair *p = *state;

	pair_attach(p, A, 0);
	pair_attach(p, B, 0);
	pair_to_ring(p, A);
	pair_to_ring(p, B);
	pair_write(p, A, 300);
	pair_read_all(p, B, 100);
	pair_write(p, B, 50);
	sim_hv_migrate(&p->hv, B, 1);
	pair_events(p, B);
	assert_int_equal(pair_read(p, B, 200, false), -EAGAIN);
	assert_true(pair_events(p, B) & XVMC_EV_GONE);
	assert_int_equal(p->stats[B].value[XVMC_S_NONCE_MISMATCHES], 1);
	assert_int_equal(pair_read(p, B, 200, false), -EAGAIN);
	assert_false(pair_events(p, B) & XVMC_EV_GONE); /* said once */
	xvmc_conn_tx_leave(&p->c[B], XVMC_R_MIGRATE_SELF, true);
	pair_read_all(p, A, 50);
	assert_true(pair_events(p, A) & XVMC_EV_FOLLOW);
	xvmc_conn_tx_leave(&p->c[A], XVMC_R_PEER_LEFT, false);
	pair_read_all(p, B, 200);
	assert_int_equal(p->c[B].rx.reason, XVMC_R_PEER_LEFT);
}

/* ---- an error is told to the reader, whoever heard it first ---- */

static void test_error_told(void **state)
{
	struct pair *p = *state;

	/* A record of ours hears it. */
	pair_attach(p, B, 0);
	pair_to_ring(p, B);
	pair_write(p, A, 10);
	p->tcp.sock[B].reset = true;
	p->tcp.sock[B].err = -ECONNRESET;
	xvmc_conn_tx_leave(&p->c[B], XVMC_R_LRU, false);
	assert_int_equal(p->c[B].tx.err, -ECONNRESET);
	assert_int_equal(pair_read(p, B, 10, false), -ECONNRESET);
	pair_renew(p);
	/* The pump hears it at the expected position. */
	pair_attach(p, A, 0);
	pair_agree(p, A);
	p->tcp.sock[B].reset = true;
	p->tcp.sock[B].err = -ECONNRESET;
	xvmc_conn_rx_pump(&p->c[B]);
	xvmc_conn_rx_pump(&p->c[B]);
	assert_int_equal(pair_read(p, B, 10, false), -ECONNRESET);
	assert_true(pair_events(p, B) & XVMC_EV_CLOSED);
	xvmc_conn_tx_settle(&p->c[A], 0, true);
}

/* ---- replays ---- */

/* Who was told that there is something to read finds a byte, though the record
 * is there, the replay is not, and the ring counts no more. */
static void test_promise(void **state)
{
	struct pair *p = *state;
	uint64_t before;

	pair_attach(p, A, 0);
	pair_to_ring(p, A);
	pair_write(p, A, 1000);
	pair_read_all(p, B, 300);
	assert_int_equal(xvmc_conn_rx_ready(&p->c[B]), 700);
	p->tcp.pipe[A].sndbuf = sizeof(struct xvmc_record);
	xvmc_conn_tx_leave(&p->c[A], XVMC_R_DEMOTED, false);
	pair_deliver(p);
	xvmc_conn_rx_pump(&p->c[B]);
	assert_int_equal(p->c[B].rx.path, XVMC_PATH_TCP);
	assert_int_equal(xvmc_conn_rx_ready(&p->c[B]), 1);
	before = p->c[B].rx.rcvd;
	pair_read_all(p, B, 1);
	assert_int_equal(p->c[B].rx.rcvd, before + 1);
	assert_int_equal(xvmc_conn_rx_ready(&p->c[B]), 0);
	assert_int_equal(pair_read(p, B, 1, false), -EAGAIN);
	p->tcp.pipe[A].sndbuf = 4096;
	xvmc_conn_tx_flush(&p->c[A]);
	pair_read_all(p, B, 699);
	pair_validate(p);
}

/* A small replay stays in the kernel, which then has the whole stream; but it
 * is a replay until all of it is there. */
static void test_small_replay(void **state)
{
	struct pair *p = *state;

	p->c[B].few = 1000;
	pair_attach(p, A, 0);
	pair_to_ring(p, A);
	pair_write(p, A, 1000);
	pair_read_all(p, B, 300); /* which the sender has not seen */
	p->tcp.pipe[A].sndbuf = sizeof(struct xvmc_record) + 500;
	xvmc_conn_tx_leave(&p->c[A], XVMC_R_DEMOTED, false);
	pair_deliver(p);
	xvmc_conn_rx_pump(&p->c[B]);
	assert_int_equal(p->c[B].rx.skip, 0);
	assert_int_equal(p->c[B].rx.in.len, 0);
	assert_true(p->c[B].rx.pull > 0);
	p->tcp.pipe[A].sndbuf = 4096;
	xvmc_conn_tx_flush(&p->c[A]);
	pair_deliver(p);
	xvmc_conn_rx_pump(&p->c[B]);
	assert_int_equal(p->c[B].rx.pull, 0);
	assert_int_equal(p->c[B].rx.in.len, 0);
	assert_true(xvmc_conn_rx_idle(&p->c[B]));
	pair_read_all(p, B, 700);
	pair_validate(p);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_shutdown),
		TEST(test_abandon_keeps_replay),
		TEST(test_dies_in_ring),
		TEST(test_dies_with_unread),
		TEST(test_dies_in_record),
		TEST(test_ends_like_record),
		TEST(test_dies_in_replay),
		TEST(test_dies_in_replay_gone),
		TEST(test_dies_after_moving),
		TEST(test_receiver_moves),
		TEST(test_error_told),
		TEST(test_promise),
		TEST(test_small_replay),
	};

	return fresh_run("conn-end", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
