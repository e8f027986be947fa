/* SPDX-License-Identifier: MIT */
/*
 * conn_t as a reader meets it: bytes that look like a record, readers that come
 * back from the kernel late, what is left for other processes, and what poll
 * may promise.
 */
#include <errno.h>
#include <string.h>

#include "conn-pair.h"

#define A 0u
#define B 1u

/* ---- doubts: application bytes at the expected position ---- */

static ssize_t read_raw(struct pair *p, uint8_t *buf, size_t n)
{
	struct iovec vec = { .iov_base = buf, .iov_len = n };
	struct xvmc_iov it = xvmc_iov_make(&vec, 1);
	ssize_t r = xvmc_conn_read(&p->c[B], &it, false);

	pair_validate(p);
	return r;
}

/* Bytes that begin like the nonce are the application's, once they differ. */
static void test_nonce_like_bytes(void **state)
{
	struct pair *p = *state;
	uint8_t app[XVMC_NONCE_LEN + 4], back[64];

	for (size_t same = 0; same < XVMC_NONCE_LEN; same++) {
		struct conn_t *a = &p->c[A], *b = &p->c[B];

		pair_attach(p, A, 0);
		pair_agree(p, A);
		assert_int_not_equal(b->rx.expect, XVMC_POS_NONE);
		/* The answer is lost with the guest's memory. */
		p->hv.ack_old = 1000;
		sim_hv_migrate(&p->hv, A, 0);
		assert_int_equal(xvmc_conn_tx_settle(a, 0, true), -ECANCELED);
		memcpy(app, b->rx.nonce, XVMC_NONCE_LEN);
		app[same] ^= 0x55;
		for (size_t i = 0; i <= same; i++) {
			struct iovec vec = { .iov_base = app + i, .iov_len = 1 };
			struct xvmc_iov it = xvmc_iov_make(&vec, 1);

			assert_int_equal(read_raw(p, back, 64), -EAGAIN);
			assert_int_equal(xvmc_conn_write(a, &it, 0), 1);
			pair_deliver(p);
		}
		assert_int_equal(read_raw(p, back, 64), same + 1);
		assert_memory_equal(back, app, same + 1);
		assert_true(xvmc_conn_rx_idle(b));
		xvmc_conn_tx_detach(a);
		xvmc_conn_rx_detach(b);
	}
}

/* ---- readers that were in the kernel ---- */

static ssize_t took(struct pair *p, size_t n)
{
	uint8_t buf[4096];
	struct iovec vec[2] = { { buf, 3 }, { buf + 3, sizeof(buf) - 3 } };
	uint64_t pos = p->c[B].rx.rcvd;
	ssize_t r;

	pair_deliver(p);
	r = sim_tcp_recv(&p->tcp.sock[B], buf, n, false);
	assert_int_equal(r, n);
	r = xvmc_conn_rx_took(&p->c[B], vec, 2, n);
	pair_validate(p);
	for (ssize_t i = 0; i < r; i++)
		assert_int_equal(buf[i], pair_byte(A, pos + (uint64_t)i));
	return r;
}

static void test_took(void **state)
{
	struct pair *p = *state;
	const size_t rec = sizeof(struct xvmc_record);

	for (size_t more = 0; more <= 2 * rec + 700; more += 13) {
		pair_attach(p, A, 0);
		pair_write(p, A, 20);
		pair_agree(p, A);
		assert_int_equal(xvmc_conn_tx_settle(&p->c[A], 0, false), 0);
		pair_write(p, A, 300);
		xvmc_conn_tx_leave(&p->c[A], XVMC_R_LRU, false);
		pair_write(p, A, 400);
		/* 20 bytes, record, record, 300 again, 400 */
		assert_int_equal(took(p, 20 + more), 20);
		pair_read_all(p, B, 700);
		assert_int_equal(pair_read(p, B, 1, false), -EAGAIN);
		xvmc_conn_tx_detach(&p->c[A]);
		xvmc_conn_rx_detach(&p->c[B]);
	}
}

/* It missed the record that took the direction into the ring: what it finds
 * is the way back, or a part of it, or the replay. */
static void test_took_late(void **state)
{
	struct pair *p = *state;

	for (size_t n = 1; n < sizeof(struct xvmc_record) + 500; n += 7) {
		pair_attach(p, A, 0);
		pair_to_ring(p, A);
		pair_write(p, A, 500);
		pair_read_all(p, B, 100);
		xvmc_conn_tx_leave(&p->c[A], XVMC_R_LRU, false);
		pair_write(p, A, 200);
		assert_int_equal(took(p, n), -EAGAIN);
		pair_read_all(p, B, 600);
		assert_int_equal(pair_read(p, B, 1, false), -EAGAIN);
		assert_int_equal(p->c[B].rx.pull, 0);
		xvmc_conn_tx_detach(&p->c[A]);
		xvmc_conn_rx_detach(&p->c[B]);
	}
}

/* Or the middle of a replay, the service thread having begun to take it. */
static void test_took_in_replay(void **state)
{
	struct pair *p = *state;

	for (size_t n = 1; n < 700; n += 31) {
		pair_attach(p, A, 0);
		pair_to_ring(p, A);
		pair_write(p, A, 500);
		p->tcp.pipe[A].sndbuf = sizeof(struct xvmc_record) + 100;
		xvmc_conn_tx_leave(&p->c[A], XVMC_R_LRU, false);
		pair_deliver(p);
		xvmc_conn_rx_pump(&p->c[B]);
		assert_int_equal(p->c[B].rx.in.len, 100);
		p->tcp.pipe[A].sndbuf = 30000;
		pair_write(p, A, 300);
		assert_int_equal(took(p, n), -EAGAIN);
		pair_read_all(p, B, 800);
		assert_int_equal(pair_read(p, B, 1, false), -EAGAIN);
		assert_int_equal(p->c[B].rx.pull, 0);
		xvmc_conn_tx_detach(&p->c[A]);
		xvmc_conn_rx_detach(&p->c[B]);
	}
}

/* The reader of a ring that is in use already, who still has TCP to read: the
 * sender sees it come, and does not take it for asleep. */
static void test_on_the_way(void **state)
{
	struct pair *p = *state;
	struct sender_t *s = &p->c[A].tx.s;

	pair_attach(p, A, 0);
	pair_write(p, A, 500);
	pair_deliver(p);
	assert_int_equal(xvmc_conn_tx_announce(&p->c[A], 0), 0);
	assert_int_equal(xvmc_conn_rx_ack(&p->c[B], 0, 0), 1);
	assert_int_equal(xvmc_conn_tx_settle(&p->c[A], 0, false), 0);
	pair_write(p, A, 100);
	assert_int_equal(ring_see_cons(s->r), 0);
	pair_read_all(p, B, 200);
	assert_int_equal(ring_see_cons(s->r), 200);
	assert_int_equal(xvmc_sender_look(s), 0);
	assert_int_equal(s->known, 500);
	pair_deliver(p);
	pair_read_all(p, B, 350);
	assert_int_equal(ring_see_cons(s->r), 550);
	pair_read_all(p, B, 50);
}

/* ---- fork and exec: replayed bytes stay the kernel's ---- */

static void test_hand_over(void **state)
{
	struct pair *p = *state;

	pair_attach(p, A, 0);
	pair_to_ring(p, A);
	pair_write(p, A, 900);
	p->c[B].rx.hand_over = true;
	xvmc_conn_tx_leave(&p->c[A], XVMC_R_FORK, true);
	pair_deliver(p);
	xvmc_conn_rx_pump(&p->c[B]);
	pair_validate(p);
	assert_int_equal(p->c[B].rx.path, XVMC_PATH_TCP);
	assert_true(p->c[B].rx.in.len == 0 && p->c[B].rx.pull == 0);
	assert_true(xvmc_conn_rx_idle(&p->c[B]));
	pair_read_all(p, B, 900);
}

/* Nor does a record of ours get behind bytes that another process may read. */
static void test_hand_over_unread(void **state)
{
	struct pair *p = *state;

	pair_attach(p, A, 0);
	pair_write(p, A, 100);
	pair_deliver(p);
	assert_int_equal(xvmc_conn_tx_announce(&p->c[A], 0), 0);
	p->c[B].rx.hand_over = true;
	assert_int_equal(xvmc_conn_rx_ack(&p->c[B], 0, 0), 0);
	pair_read_all(p, B, 99);
	assert_int_equal(xvmc_conn_rx_ack(&p->c[B], 0, 0), 0);
	pair_read_all(p, B, 1);
	assert_int_equal(xvmc_conn_rx_ack(&p->c[B], 0, 0), 1);
}

/* ---- poll ---- */

static void test_ready(void **state)
{
	struct pair *p = *state;

	pair_attach(p, A, 0);
	pair_write(p, A, 10);
	pair_deliver(p);
	assert_int_equal(xvmc_conn_rx_ready(&p->c[B]), 0); /* the kernel's queue */
	pair_read_all(p, B, 10);
	pair_to_ring(p, A);
	assert_int_equal(xvmc_conn_rx_ready(&p->c[B]), 0);
	pair_write(p, A, 30);
	assert_int_equal(xvmc_conn_rx_ready(&p->c[B]), 30);
	pair_read_all(p, B, 10);
	assert_int_equal(xvmc_conn_rx_ready(&p->c[B]), 20);
	xvmc_conn_tx_leave(&p->c[A], XVMC_R_LRU, false);
	pair_deliver(p);
	assert_int_equal(xvmc_conn_rx_ready(&p->c[B]), 20);
	xvmc_conn_rx_pump(&p->c[B]);
	/* Whole in the kernel, it is no business of ours but for the promise. */
	assert_int_equal(xvmc_conn_rx_ready(&p->c[B]), 1);
	assert_int_equal(p->c[B].rx.in.len, 0);
	pair_read_all(p, B, 20);
	assert_int_equal(xvmc_conn_rx_ready(&p->c[B]), 0);
	assert_int_equal(xvmc_conn_rx_ready(&p->c[A]), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_nonce_like_bytes),
		TEST(test_took),
		TEST(test_took_late),
		TEST(test_took_in_replay),
		TEST(test_on_the_way),
		TEST(test_hand_over),
		TEST(test_hand_over_unread),
		TEST(test_ready),
	};

	return fresh_run("conn-read", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
