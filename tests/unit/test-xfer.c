/* SPDX-License-Identifier: MIT */
/*
 * The ring (lib/xfer): copying and wrapping at every order, peeks, who is
 * rung when, and what happens with indices and pages no honest peer writes.
 * Both ends look at the same memory; what a migration does to it is played
 * by the simulation and by the tests of the hypervisor port.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fresh.h"
#include "xfer/recver.h"
#include "xfer/sender.h"

static const uint8_t nonce[XVMC_NONCE_LEN] = { 0x31, 0x41, 0x59, 0x26, 0x53,
					       0x58, 0x97, 0x93, 0x23, 0x84,
					       0x62, 0x64, 0x33, 0x83, 0x27,
					       0x50 };

struct ring {
	struct xvmc_spage *s;
	struct xvmc_rpage *r;
	uint8_t *data;
	struct sender_t tx;
	struct recver_t rx;
};

static void *pages(size_t n)
{
	void *p = aligned_alloc(XVMC_PAGE_SIZE, n * XVMC_PAGE_SIZE);

	assert_non_null(p);
	memset(p, 0, n * XVMC_PAGE_SIZE);
	return p;
}

static void ring_make(struct ring *ring, unsigned int order)
{
	ring->s = pages(1);
	ring->r = pages(1);
	ring->data = pages((size_t)1 << order);
	xvmc_sender_init(&ring->tx, ring->s, ring->r, ring->data, order, nonce);
	assert_int_equal(xvmc_recver_init(&ring->rx, ring->s, ring->r,
					  ring->data, order, nonce), 0);
}

static void ring_start(struct ring *ring, uint64_t pos)
{
	xvmc_sender_start(&ring->tx, pos);
	xvmc_recver_start(&ring->rx, pos);
}

static void ring_free(struct ring *ring)
{
	free(ring->s);
	free(ring->r);
	free(ring->data);
}

/* A byte that tells its position. */
static uint8_t byte_at(uint64_t pos)
{
	return (uint8_t)(pos * 167 + (pos >> 8) * 13 + (pos >> 16));
}

static ssize_t put(struct ring *ring, size_t n, bool *ret_bell)
{
	static uint8_t buf[1 << 21];
	struct iovec vec[3] = {
		{ buf, n / 3 }, { buf + n / 3, 0 }, { buf + n / 3, n - n / 3 },
	};
	struct xvmc_iov it = xvmc_iov_make(vec, 3);
	bool bell = false;
	ssize_t r;

	for (size_t i = 0; i < n; i++)
		buf[i] = byte_at(ring->tx.prod + i);
	r = xvmc_sender_write(&ring->tx, &it, n, &bell);
	if (r >= 0)
		assert_int_equal(it.left, n - (size_t)r);
	assert_true(xvmc_sender_validate(&ring->tx));
	if (ret_bell)
		*ret_bell = bell;
	return r;
}

static ssize_t get(struct ring *ring, size_t n, bool peek, bool *ret_bell)
{
	static uint8_t buf[1 << 21];
	struct iovec vec[2] = { { buf, n / 2 }, { buf + n / 2, n - n / 2 } };
	struct xvmc_iov it = xvmc_iov_make(vec, 2);
	uint64_t pos = ring->rx.cons;
	bool bell = false;
	ssize_t r = xvmc_recver_read(&ring->rx, &it, n, peek, &bell);

	for (ssize_t i = 0; i < r; i++)
		assert_int_equal(buf[i], byte_at(pos + (uint64_t)i));
	if (r >= 0) {
		assert_int_equal(ring->rx.cons, pos + (peek ? 0 : (uint64_t)r));
		assert_true(xvmc_recver_validate(&ring->rx));
	}
	if (ret_bell)
		*ret_bell = bell;
	return r;
}

static void test_orders(void **state)
{
	uint64_t rnd = fresh_seed();

	for (unsigned int order = 0; order <= XVMC_RING_ORDER_MAX; order++) {
		size_t size = (size_t)XVMC_PAGE_SIZE << order;
		struct ring ring;

		ring_make(&ring, order);
		ring_start(&ring, fresh_random(&rnd, 1u << 30));
		for (int i = 0; i < 300; i++) {
			size_t room = size - (ring.tx.prod - ring.rx.cons);
			size_t full = ring.tx.prod - ring.rx.cons;
			size_t n = 1 + fresh_random(&rnd, (uint32_t)size + 100);

			assert_int_equal(put(&ring, n, NULL), n < room ? n : room);
			full = ring.tx.prod - ring.rx.cons;
			n = 1 + fresh_random(&rnd, (uint32_t)size + 100);
			if (i % 3 == 0)
				assert_int_equal(get(&ring, n, true, NULL), n < full ? n : full);
			assert_int_equal(get(&ring, n, false, NULL), n < full ? n : full);
		}
		ring_free(&ring);
	}
}

/* Every start, so that every split at the end of the ring comes up. */
static void test_wrap(void **state)
{
	struct ring ring;

	ring_make(&ring, 0);
	for (uint64_t at = 0; at < 2 * XVMC_PAGE_SIZE; at++) {
		ring_start(&ring, at);
		assert_int_equal(put(&ring, XVMC_PAGE_SIZE + 1, NULL), XVMC_PAGE_SIZE);
		assert_int_equal(put(&ring, 1, NULL), 0);
		assert_int_equal(get(&ring, 7, true, NULL), 7);
		assert_int_equal(get(&ring, 7, false, NULL), 7);
		assert_int_equal(get(&ring, XVMC_PAGE_SIZE, false, NULL), XVMC_PAGE_SIZE - 7);
		assert_int_equal(get(&ring, 1, false, NULL), 0);
	}
	ring_free(&ring);
}

static void test_empty_calls(void **state)
{
	struct ring ring;

	ring_make(&ring, 0);
	ring_start(&ring, 5);
	assert_int_equal(put(&ring, 0, NULL), 0);
	assert_int_equal(get(&ring, 0, false, NULL), 0);
	assert_int_equal(get(&ring, 10, false, NULL), 0);
	assert_int_equal(xvmc_recver_avail(&ring.rx, 1), 0);
	assert_int_equal(put(&ring, 3, NULL), 3);
	assert_int_equal(get(&ring, 0, false, NULL), 0);
	assert_int_equal(xvmc_recver_avail(&ring.rx, 1), 3);
	ring_free(&ring);
}

/* The sender's own pages still hold what nobody has consumed. */
static void test_replay(void **state)
{
	struct ring ring;

	ring_make(&ring, 0);
	for (uint64_t at = 100; at < 3 * XVMC_PAGE_SIZE; at += 97) {
		ring_start(&ring, at);
		put(&ring, XVMC_PAGE_SIZE, NULL);
		get(&ring, 1000, false, NULL);
		assert_int_equal(xvmc_sender_look(&ring.tx), 0);
		assert_int_equal(ring.tx.known, at + 1000);
		for (uint64_t i = ring.tx.known; i < ring.tx.prod; i++)
			assert_int_equal(ring.tx.data[i % XVMC_PAGE_SIZE], byte_at(i));
	}
	ring_free(&ring);
}

/* ---- sleeping ---- */

static void test_arm_data(void **state)
{
	struct ring ring;
	bool bell;

	ring_make(&ring, 0);
	ring_start(&ring, 10);
	put(&ring, 5, &bell);
	assert_false(bell); /* nobody sleeps */
	assert_true(xvmc_recver_arm(&ring.rx, 1)); /* the second look finds it */
	get(&ring, 5, false, NULL);
	assert_false(xvmc_recver_arm(&ring.rx, 1));
	put(&ring, 1, &bell);
	assert_true(bell);
	put(&ring, 1, &bell);
	assert_false(bell); /* once is enough */
	get(&ring, 100, false, NULL);
	assert_false(xvmc_recver_arm(&ring.rx, 10));
	put(&ring, 9, &bell);
	assert_false(bell); /* not yet what it waits for */
	put(&ring, 1, &bell);
	assert_true(bell);
	ring_free(&ring);
}

static void test_arm_room(void **state)
{
	struct ring ring;
	bool bell;

	ring_make(&ring, 0);
	/* also where the mark would be position 0, or lie before it */
	for (uint64_t at = 0; at < 3 * XVMC_PAGE_SIZE; at += XVMC_PAGE_SIZE / 2) {
		ring_start(&ring, at);
		assert_true(xvmc_sender_arm(&ring.tx, 1));
		put(&ring, XVMC_PAGE_SIZE, NULL);
		assert_false(xvmc_sender_arm(&ring.tx, 100));
		get(&ring, 99, false, &bell);
		assert_false(bell);
		get(&ring, 1, false, &bell);
		assert_true(bell);
		get(&ring, 1, false, &bell);
		assert_false(bell);
		assert_true(xvmc_sender_arm(&ring.tx, 100));
		put(&ring, 101, NULL);
		/* more than half the ring is never waited for */
		assert_false(xvmc_sender_arm(&ring.tx, XVMC_PAGE_SIZE));
		get(&ring, XVMC_PAGE_SIZE / 2, false, &bell);
		assert_true(bell);
	}
	ring_free(&ring);
}

/* A peek gives no room back and rings nobody. */
static void test_peek_rings_nobody(void **state)
{
	struct ring ring;
	bool bell;

	ring_make(&ring, 0);
	ring_start(&ring, 0);
	put(&ring, XVMC_PAGE_SIZE, NULL);
	assert_false(xvmc_sender_arm(&ring.tx, 1));
	assert_int_equal(get(&ring, 500, true, &bell), 500);
	assert_false(bell);
	assert_int_equal(xvmc_sender_room(&ring.tx, 1), 0);
	ring_free(&ring);
}

/* ---- what no honest peer does ---- */

static void test_wild_cons(void **state)
{
	static const uint64_t wild[] = { 1, XVMC_PAGE_SIZE, 1ull << 40, UINT64_MAX / 2 };
	struct ring ring;

	ring_make(&ring, 0);
	for (size_t i = 0; i < 4; i++) {
		ring_start(&ring, 5000);
		put(&ring, XVMC_PAGE_SIZE, NULL);
		ring_release(ring.r, ring.tx.prod + wild[i]);
		assert_int_equal(xvmc_sender_look(&ring.tx), -EPROTO);
		assert_int_equal(ring.tx.known, 5000);
		assert_int_equal(xvmc_sender_room(&ring.tx, 1), -EPROTO);
		assert_int_equal(put(&ring, 1, NULL), -EPROTO);
		assert_true(xvmc_sender_arm(&ring.tx, 1)); /* let the writer see */
		assert_true(xvmc_sender_validate(&ring.tx));
	}
	ring_release(ring.r, UINT64_MAX);
	assert_int_equal(xvmc_sender_look(&ring.tx), -EPROTO);
	/* One that lies back is old, not wrong. */
	ring_start(&ring, 9000);
	put(&ring, 100, NULL);
	ring_release(ring.r, 9050);
	assert_int_equal(xvmc_sender_look(&ring.tx), 0);
	ring_release(ring.r, 9001);
	assert_int_equal(xvmc_sender_look(&ring.tx), 0);
	assert_int_equal(ring.tx.known, 9050);
	ring_free(&ring);
}

static void test_wild_prod(void **state)
{
	struct ring ring;

	ring_make(&ring, 0);
	ring_start(&ring, 5000);
	put(&ring, 100, NULL);
	assert_int_equal(xvmc_recver_avail(&ring.rx, 1), 100);
	/* Back: the ring's last use, or a zombie's page. Nothing new. */
	ring_publish(ring.s, 4000);
	assert_int_equal(xvmc_recver_avail(&ring.rx, 101), 100);
	assert_int_equal(get(&ring, 200, false, NULL), 100);
	/* More than the ring can hold. */
	ring_publish(ring.s, ring.rx.cons + XVMC_PAGE_SIZE);
	assert_int_equal(xvmc_recver_avail(&ring.rx, 1), XVMC_PAGE_SIZE);
	ring_start(&ring, 5000);
	ring_publish(ring.s, 5000 + XVMC_PAGE_SIZE + 1);
	assert_int_equal(xvmc_recver_avail(&ring.rx, 1), -EPROTO);
	assert_int_equal(get(&ring, 1, false, NULL), -EPROTO);
	assert_true(xvmc_recver_arm(&ring.rx, 1));
	ring_publish(ring.s, UINT64_MAX);
	assert_int_equal(xvmc_recver_avail(&ring.rx, 1), -EPROTO);
	assert_true(xvmc_recver_validate(&ring.rx));
	ring_free(&ring);
}

/* The mapping turns into 0xFF before the look, or between look and copy. */
static void test_lost_mapping(void **state)
{
	struct ring ring;

	ring_make(&ring, 0);
	ring_start(&ring, 5000);
	put(&ring, 100, NULL);
	memset(ring.s, 0xff, sizeof(*ring.s));
	assert_int_equal(xvmc_recver_avail(&ring.rx, 1), -ESTALE);
	assert_true(xvmc_recver_arm(&ring.rx, 1));
	assert_int_equal(get(&ring, 10, false, NULL), -ESTALE);
	assert_int_equal(ring.rx.cons, 5000);
	ring_free(&ring);

	ring_make(&ring, 0);
	ring_start(&ring, 5000);
	put(&ring, 100, NULL);
	assert_int_equal(xvmc_recver_avail(&ring.rx, 1), 100); /* cached now */
	memset(ring.s, 0xff, sizeof(*ring.s));
	memset(ring.data, 0xff, XVMC_PAGE_SIZE);
	/* get() would check the bytes: none may count */
	assert_int_equal(xvmc_recver_avail(&ring.rx, 1), 100);
	assert_int_equal(get(&ring, 10, true, NULL), -ESTALE);
	assert_int_equal(get(&ring, 10, false, NULL), -ESTALE);
	assert_int_equal(ring.rx.cons, 5000);
	ring_free(&ring);
}

static void test_init_checks(void **state)
{
	uint8_t other[XVMC_NONCE_LEN];
	struct ring ring;

	ring_make(&ring, 1);
	for (size_t bit = 0; bit < 8 * sizeof(other); bit++) {
		memcpy(other, nonce, sizeof(other));
		other[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(xvmc_recver_init(&ring.rx, ring.s, ring.r,
						  ring.data, 1, other), -ESTALE);
	}
	assert_int_equal(xvmc_recver_init(&ring.rx, ring.s, ring.r, ring.data, 0, nonce), -EPROTO);
	assert_int_equal(xvmc_recver_init(&ring.rx, ring.s, ring.r, ring.data, 2, nonce), -EPROTO);
	ring.s->magic ^= 1;
	assert_int_equal(xvmc_recver_init(&ring.rx, ring.s, ring.r, ring.data, 1, nonce), -EPROTO);
	ring.s->magic ^= 1;
	ring.s->version++;
	assert_int_equal(xvmc_recver_init(&ring.rx, ring.s, ring.r, ring.data, 1, nonce), -EPROTO);
	ring.s->version--;
	assert_int_equal(xvmc_recver_init(&ring.rx, ring.s, ring.r, ring.data, 1, nonce), 0);
	memset(ring.s, 0xff, sizeof(*ring.s));
	assert_int_equal(xvmc_recver_init(&ring.rx, ring.s, ring.r, ring.data, 1, nonce), -ESTALE);
	ring_free(&ring);
}

/* ---- the announcement word ---- */

static void test_announcement(void **state)
{
	struct ring_announcement ann = { .pos = 77, .rcvd = 5, .epoch = 3 };
	struct ring_announcement seen = { 0 };
	struct ring ring;

	ring_make(&ring, 0);
	assert_false(ring_see_announcement(ring.s, ring.r, &seen));
	ring_announce(ring.s, ring.r, &ann);
	assert_true(ring_see_announcement(ring.s, ring.r, &seen));
	assert_true(seen.pos == 77 && seen.rcvd == 5 && seen.epoch == 3);
	assert_int_equal(ring_ann_state(ring.r, 3), XVMC_ANN_ANNOUNCED);
	assert_int_equal(ring_ann_state(ring.r, 2), XVMC_ANN_NONE);
	/* It is decided once, and only by who means this one. */
	assert_false(ring_decide(ring.r, 2, XVMC_ANN_ACKED));
	assert_true(ring_decide(ring.r, 3, XVMC_ANN_ACKED));
	assert_false(ring_decide(ring.r, 3, XVMC_ANN_CANCELLED));
	assert_int_equal(ring_ann_state(ring.r, 3), XVMC_ANN_ACKED);
	assert_false(ring_see_announcement(ring.s, ring.r, &seen));
	ann.epoch = 4;
	ring_announce(ring.s, ring.r, &ann);
	assert_true(ring_decide(ring.r, 4, XVMC_ANN_CANCELLED));
	assert_false(ring_decide(ring.r, 4, XVMC_ANN_ACKED));
	assert_int_equal(ring_ann_state(ring.r, 4), XVMC_ANN_CANCELLED);
	/* Another epoch in the S-page than in the word; garbage; a hole. */
	ann.epoch = 5;
	ring_announce(ring.s, ring.r, &ann);
	ring.s->ann_epoch = 6;
	assert_false(ring_see_announcement(ring.s, ring.r, &seen));
	ring.r->announce = (uint64_t)5 << 32 | 0x101;
	assert_int_equal(ring_ann_state(ring.r, 5), XVMC_ANN_NONE);
	assert_false(ring_see_announcement(ring.s, ring.r, &seen));
	memset(ring.r, 0xff, sizeof(*ring.r));
	assert_false(ring_see_announcement(ring.s, ring.r, &seen));
	assert_false(ring_decide(ring.r, 5, XVMC_ANN_ACKED));
	assert_int_equal(ring_ann_state(ring.r, 5), XVMC_ANN_NONE);
	ring_free(&ring);
}

/* ---- the cursor over an iovec ---- */

static void test_iov(void **state)
{
	uint8_t a[5], b[1], c[10], flat[16], back[16];
	struct iovec vec[] = { { a, 5 }, { NULL, 0 }, { b, 1 }, { NULL, 0 }, { c, 10 } };
	struct iovec part[3];
	struct xvmc_iov it = xvmc_iov_make(vec, 5);

	for (int i = 0; i < 16; i++)
		flat[i] = (uint8_t)i;
	assert_int_equal(it.left, 16);
	xvmc_iov_put(&it, flat, 3);
	xvmc_iov_put(&it, flat + 3, 13);
	assert_int_equal(it.left, 0);
	assert_memory_equal(a, flat, 5);
	assert_int_equal(b[0], 5);
	assert_memory_equal(c, flat + 6, 10);
	it = xvmc_iov_make(vec, 5);
	xvmc_iov_get(&it, back, 16);
	assert_memory_equal(back, flat, 16);
	it = xvmc_iov_make(vec, 5);
	xvmc_iov_advance(&it, 4);
	assert_int_equal(xvmc_iov_slice(&it, 4, part, 3), 3);
	assert_ptr_equal(part[0].iov_base, a + 4);
	assert_int_equal(part[0].iov_len, 1);
	assert_int_equal(part[1].iov_len, 1);
	assert_int_equal(part[2].iov_len, 2);
	assert_int_equal(xvmc_iov_slice(&it, 100, part, 2), 2);
	assert_int_equal(it.left, 12); /* the cursor itself has not moved */
	it = xvmc_iov_make(NULL, 0);
	assert_int_equal(xvmc_iov_slice(&it, 100, part, 3), 0);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_orders),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_empty_calls),
		cmocka_unit_test(test_replay),
		cmocka_unit_test(test_arm_data),
		cmocka_unit_test(test_arm_room),
		cmocka_unit_test(test_peek_rings_nobody),
		cmocka_unit_test(test_wild_cons),
		cmocka_unit_test(test_wild_prod),
		cmocka_unit_test(test_lost_mapping),
		cmocka_unit_test(test_init_checks),
		cmocka_unit_test(test_announcement),
		cmocka_unit_test(test_iov),
	};

	return fresh_run("xfer", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
