/* SPDX-License-Identifier: MIT */
/*
 * conn_t where things go wrong: allocations that fail, and what a peer may
 * send that no honest one would.
 */
#include <errno.h>
#include <string.h>

#include "conn-pair.h"

#define A 0u
#define B 1u

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
		pair_drain(p, 400); /* what came before it was right */
	assert_int_equal(pair_read(p, B, 1, false), -ECONNRESET);
	assert_int_equal(pair_read(p, B, 1, false), 0); /* once, as the kernel */
	pair_renew(p);
}

static void test_bad_records(void **state)
{
	struct pair *p = *state;

	bad_record(p, XVMC_PATH_TCP, 2, 601, 500, true); /* from beyond */
	bad_record(p, XVMC_PATH_TCP, 2, 500, 99, true);  /* ends before us */
	bad_record(p, XVMC_PATH_TCP, 1, 600, 400, true); /* an old epoch */
	bad_record(p, XVMC_PATH_TCP, 0, 600, 400, true);
	bad_record(p, XVMC_PATH_RING, 2, 600, 0, true);       /* we are there */
	bad_record(p, XVMC_PATH_TCP, 2, 600, 2u << 20, true); /* no ring is that large */
	bad_record(p, XVMC_PATH_TCP, 2, 600, UINT64_MAX - 600, true);
	bad_record(p, XVMC_PATH_TCP, 1, 0, 0, false);
	bad_record(p, XVMC_PATH_RING, 2, 0, 0, false);
	bad_record(p, XVMC_PATH_RING, 1, 1, 0, false);
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
		pair_renew(p);
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
		TEST(test_allocations_fail),
		TEST(test_bad_offers),
		TEST(test_bad_records),
		TEST(test_no_record),
		TEST(test_wild_index),
	};

	return fresh_run("conn-bad", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
