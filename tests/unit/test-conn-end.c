/* SPDX-License-Identifier: MIT */
/*
 * conn_t where things end or go wrong: shutdown, death in the middle of a
 * record or a replay, resets, lost mappings, allocations that fail, and what
 * a peer may send that no honest one would.
 */
#include <errno.h>
#include <string.h>

#include "conn-pair.h"

#define A 0u
#define B 1u

static void renew(struct pair *p)
{
	sim_hv_kill(&p->hv, A);
	sim_hv_kill(&p->hv, B);
	xvmc_conn_deinit(&p->c[A]);
	xvmc_conn_deinit(&p->c[B]);
	sim_hv_reset(&p->hv, &p->rng);
	sim_tcp_init(&p->tcp, &p->rng, 30000, 30000);
	memset(p->stats, 0, sizeof(p->stats));
	for (unsigned int i = 0; i < 2; i++) {
		xvmc_conn_init(&p->c[i], &sim_tcp_ops, &p->tcp.sock[i], &p->stats[i]);
		p->c[i].announce_ns = PAIR_NEVER;
		p->c[i].replay_small = 0;
	}
}

static void drain(struct pair *p, size_t n)
{
	xvmc_conn_rx_pump(&p->c[B]);
	pair_validate(p);
	while (n) {
		ssize_t r = pair_read(p, B, n, false);

		assert_true(r > 0);
		n -= (size_t)r;
	}
}

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
	drain(p, 3000);
	assert_int_equal(pair_read(p, B, 1, false), 0);
	assert_true(pair_events(p, B) & XVMC_EV_CLOSED);
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
		drain(p, 10);
		if (n == sizeof(struct xvmc_record)) { /* whole after all */
			assert_int_equal(pair_read(p, B, 1, false), -EAGAIN);
			xvmc_conn_rx_pump(&p->c[B]);
		}
		assert_int_equal(pair_read(p, B, 1, false), 0);
		assert_int_equal(pair_read(p, B, 1, false), 0);
		renew(p);
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
		drain(p, 400);
		assert_int_equal(pair_read(p, B, 1, false), 0);
		renew(p);
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
		renew(p);
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
		drain(p, 700);
		assert_int_equal(pair_read(p, B, 1, false), 0);
		assert_int_equal(p->stats[B].value[XVMC_S_RESETS], 0);
		renew(p);
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
			drain(p, 200);
			assert_int_equal(pair_read(p, B, 1, false), -ECONNRESET);
		}
		assert_int_equal(p->stats[B].value[XVMC_S_RESETS], !had_all);
		renew(p);
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
	drain(p, 300);
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
	renew(p);
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

/* ---- allocations ---- */

static void test_allocations_fail(void **state)
{
	struct pair *p = *state;
	struct xvmc_setup_offer offer;
	int r;

	for (uint64_t k = 1;; k++) {
		p->hv.allocs = 0;
		p->hv.fail_at = k;
		r = xvmc_conn_offer(&p->c[A], &p->hv.dom[A].hv, 0, &offer);
		if (r < 0) {
			assert_int_equal(p->hv.failed, k);
			assert_int_equal(sim_hv_held(&p->hv, A), 0);
			assert_false(p->c[A].tx.have_share);
			pair_validate(p);
			continue;
		}
		r = xvmc_conn_accept_offer(&p->c[B], &p->hv.dom[B].hv, &offer, offer.hdr.len);
		if (r == 0)
			break;
		assert_int_equal(sim_hv_held(&p->hv, B), 0);
		assert_false(p->c[B].rx.attached);
		pair_validate(p);
		xvmc_conn_tx_detach(&p->c[A]);
	}
	assert_true(p->hv.failed >= 6);
	p->hv.fail_at = 0;
	xvmc_conn_ready(&p->c[A]);
	pair_to_ring(p, A);
	pair_write(p, A, 100);
	pair_read_all(p, B, 100);
}

/* ---- offers that make no sense ---- */

static void refuse(struct pair *p, const struct xvmc_setup_offer *offer, size_t len)
{
	int r = xvmc_conn_accept_offer(&p->c[B], &p->hv.dom[B].hv, offer, len);

	assert_true(r < 0);
	assert_int_equal(sim_hv_held(&p->hv, B), 0);
	assert_false(p->c[B].rx.attached);
	pair_validate(p);
}

static void test_bad_offers(void **state)
{
	struct pair *p = *state;
	struct xvmc_setup_offer good, bad;
	uint8_t *page;

	assert_int_equal(xvmc_conn_offer(&p->c[A], &p->hv.dom[A].hv, 1, &good), 0);
	for (size_t len = 0; len <= sizeof(good); len++)
		if (len != good.hdr.len)
			refuse(p, &good, len);
	for (size_t bit = 0; bit < 8u * good.hdr.len; bit++) {
		if (bit / 8 == offsetof(struct xvmc_setup_hdr, type) ||
		    bit / 8 == offsetof(struct xvmc_setup_hdr, type) + 1)
			continue; /* the caller has looked at it */
		bad = good;
		((uint8_t *)&bad)[bit / 8] ^= (uint8_t)(1u << bit % 8);
		refuse(p, &bad, good.hdr.len);
	}
	/* Said consistently, and yet not so. */
	for (uint32_t order = 0; order < 40; order++) {
		bad = good;
		bad.order = order;
		bad.ngrefs = 2 + (1u << (order % 32));
		bad.hdr.len = (uint16_t)(offsetof(struct xvmc_setup_offer, gref) + 4 * bad.ngrefs);
		if (order != good.order && bad.hdr.len <= sizeof(bad))
			refuse(p, &bad, bad.hdr.len);
	}
	/* The pages say something else. */
	page = p->c[A].tx.share_sd.addr;
	for (size_t bit = 0; bit < 8 * offsetof(struct xvmc_spage, pad0); bit++) {
		page[bit / 8] ^= (uint8_t)(1u << bit % 8);
		refuse(p, &good, good.hdr.len);
		page[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	/* All-ones is what a lost mapping reads as. */
	bad = good;
	memset(bad.nonce, 0xff, sizeof(bad.nonce));
	memset(page, 0xff, XVMC_NONCE_LEN);
	refuse(p, &bad, good.hdr.len);
	memcpy(page, good.nonce, XVMC_NONCE_LEN);
	assert_int_equal(xvmc_conn_accept_offer(&p->c[B], &p->hv.dom[B].hv, &good, good.hdr.len), 0);
	assert_int_equal(xvmc_conn_accept_offer(&p->c[B], &p->hv.dom[B].hv, &good, good.hdr.len), -EBUSY);
}

/* ---- records that make no sense ---- */

static void bad_record(struct pair *p, enum xvmc_path target, uint32_t epoch,
		       uint64_t pos, uint64_t len, bool ring)
{
	struct xvmc_record rec;

	pair_attach(p, A, 0);
	if (ring) {
		pair_to_ring(p, A);
		pair_write(p, A, 1000);
		pair_read_all(p, B, 600);
	} else {
		pair_agree(p, A);
	}
	xvmc_record_make(&rec, p->c[B].rx.nonce, epoch, target, 0, 0, pos, len);
	sim_tcp_send(&p->tcp.sock[A], &rec, sizeof(rec));
	pair_deliver(p);
	xvmc_conn_rx_pump(&p->c[B]);
	pair_validate(p);
	assert_int_equal(p->c[B].rx.err, -ECONNRESET);
	assert_int_equal(p->c[B].rx.reason, XVMC_R_BAD_RECORD);
	assert_int_equal(p->stats[B].value[XVMC_S_RESETS], 1);
	if (ring)
		drain(p, 400); /* what came before it was right */
	assert_int_equal(pair_read(p, B, 1, false), -ECONNRESET);
	assert_int_equal(pair_read(p, B, 1, false), 0); /* once, as the kernel */
	renew(p);
}

static void test_bad_records(void **state)
{
	struct pair *p = *state;

	bad_record(p, XVMC_PATH_TCP, 2, 601, 500, true); /* from beyond */
	bad_record(p, XVMC_PATH_TCP, 2, 500, 99, true);  /* ends before us */
	bad_record(p, XVMC_PATH_TCP, 1, 600, 400, true); /* an old epoch */
	bad_record(p, XVMC_PATH_TCP, 0, 600, 400, true);
	bad_record(p, XVMC_PATH_RING, 2, 600, 0, true); /* we are there */
	bad_record(p, XVMC_PATH_TCP, 2, 600, 2u << 20, true); /* no ring is that large */
	bad_record(p, XVMC_PATH_TCP, 2, 600, UINT64_MAX - 600, true);
	bad_record(p, XVMC_PATH_TCP, 1, 0, 0, false);
	bad_record(p, XVMC_PATH_RING, 2, 0, 0, false);
	bad_record(p, XVMC_PATH_RING, 1, 1, 0, false);
}

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

	p->c[B].replay_small = 1000;
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

/* Anything but a record, in ring mode. */
static void test_no_record(void **state)
{
	struct pair *p = *state;
	uint8_t junk[sizeof(struct xvmc_record)];

	for (int i = 0; i < 200; i++) {
		pair_attach(p, A, 0);
		pair_to_ring(p, A);
		for (size_t k = 0; k < sizeof(junk); k++)
			junk[k] = (uint8_t)sim_rand(&p->rng);
		sim_tcp_send(&p->tcp.sock[A], junk, sizeof(junk));
		pair_deliver(p);
		xvmc_conn_rx_pump(&p->c[B]);
		assert_int_equal(pair_read(p, B, 1, false), -ECONNRESET);
		renew(p);
	}
}

/* A lying cons: back to TCP, and nothing is lost. */
static void test_wild_index(void **state)
{
	struct pair *p = *state;

	pair_attach(p, A, 0);
	pair_to_ring(p, A);
	pair_write(p, A, XVMC_PAGE_SIZE);
	((struct xvmc_rpage *)p->c[B].rx.map_r.addr)->cons = 1u << 30;
	pair_write(p, A, 100);
	assert_int_equal(p->c[A].tx.path, XVMC_PATH_TCP);
	assert_int_equal(p->c[A].tx.reason, XVMC_R_BAD_INDEX);
	((struct xvmc_rpage *)p->c[B].rx.map_r.addr)->cons = 0;
	pair_read_all(p, B, p->c[A].tx.sent);
	assert_true(pair_events(p, B) & XVMC_EV_FOLLOW);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_shutdown),
		TEST(test_abandon_keeps_replay),
		TEST(test_dies_in_ring),
		TEST(test_dies_in_record),
		TEST(test_ends_like_record),
		TEST(test_dies_in_replay),
		TEST(test_dies_in_replay_gone),
		TEST(test_dies_after_moving),
		TEST(test_receiver_moves),
		TEST(test_error_told),
		TEST(test_allocations_fail),
		TEST(test_bad_offers),
		TEST(test_bad_records),
		TEST(test_promise),
		TEST(test_small_replay),
		TEST(test_no_record),
		TEST(test_wild_index),
	};

	return fresh_run("conn-end", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
