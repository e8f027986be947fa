/* SPDX-License-Identifier: MIT */
/*
 * The size of the ring that each direction gets, and how it becomes larger: what
 * has little to say has a small one; whose writer keeps sleeping for room gets a
 * larger one, once or twice, if the guest has the pages; and gives it back before
 * another connection has to go without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fresh.h"
#include "guests.h"
#include "xvmcd.h"

#define BOUND_NS 30000000000u
#define PAIRS 8
#define LEAST 1u
#define USUAL 3u
#define MOST 5u

struct world {
	struct xvmcd_run xvmcd;
	struct xvmc_ctx ctx[2];
	struct guest_pair pair[PAIRS];
	uint64_t sent, read; /* of pair 0, first direction */
	_Atomic bool stop;
};

static struct world w;

static int start(const char *max_grants)
{
	xvmcd_start(&w.xvmcd, "--max-grants", max_grants, NULL);
	guest_make(&w.ctx[0], w.xvmcd.dir, "vm1");
	guest_make(&w.ctx[1], w.xvmcd.dir, "vm2");
	for (int i = 0; i < 2; i++) {
		struct xvmc_options *opt = &w.ctx[i].opt;

		opt->order_least = LEAST;
		opt->order = USUAL;
		opt->order_most = MOST;
		/* who finds no room sleeps; and a reader may take its time */
		opt->spin_us = 0;
		opt->stuck_ms = 10000;
	}
	guest_pair_make(&w.pair[0], &w.ctx[0], &w.ctx[1]);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return start("100000");
}

/* For two directions of the usual size and two small ones; not for a larger one,
 * which comes out of one half. */
static int setup_few(void **state)
{
	(void)state;
	return start("60");
}

/* For a larger one, and half a dozen others. */
static int setup_some(void **state)
{
	(void)state;
	return start("80");
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

static uint64_t stat_of(int i, unsigned int s)
{
	return w.ctx[i].stats->value[s];
}

/* Of the ring by which that end sends, or would; 0: it has none. */
static uint64_t ring_size(const struct guest_pair *p, int i)
{
	struct conn_t *c = &p->ep[i]->conn;
	uint64_t size;

	section_lock(&c->tx.lock);
	size = c->tx.have_share ? c->tx.s.size : 0;
	section_unlock(&c->tx.lock);
	return size;
}

static uint64_t bytes_of(unsigned int order)
{
	return (uint64_t)XVMC_PAGE_SIZE << order;
}

static uint8_t content(uint64_t pos)
{
	return (uint8_t)((pos >> 3) * 0x9e3779b97f4a7c15u >> (8 * (pos & 7)));
}

static void talk_to_ring(struct guest_pair *p)
{
	uint64_t end = os_now_ns() + BOUND_NS;

	while (!guest_both_on_ring(p)) {
		assert_true(os_now_ns() < end);
		guest_trip(p);
	}
}

/* The first direction carries blocks, the other one a byte for each. */
static void bulk_to_ring(struct guest_pair *p)
{
	uint8_t buf[4 * XVMC_PAGE_SIZE] = { 0 };
	uint64_t end = os_now_ns() + BOUND_NS;

	while (!guest_both_on_ring(p)) {
		assert_true(os_now_ns() < end);
		guest_send(p, 0, buf, sizeof(buf));
		assert_int_equal(guest_recv(p, 1, buf, sizeof(buf), MSG_WAITALL), sizeof(buf));
		guest_send(p, 1, buf, 1);
		assert_int_equal(guest_recv(p, 0, buf, 1, 0), 1);
	}
}

static void test_by_what_they_say(void **state)
{
	(void)state;
	bulk_to_ring(&w.pair[0]);
	assert_int_equal(ring_size(&w.pair[0], 0), bytes_of(USUAL));
	assert_int_equal(ring_size(&w.pair[0], 1), bytes_of(LEAST));
	assert_int_equal(stat_of(0, XVMC_S_RING_PAGES), 2 + (1u << USUAL));
	assert_int_equal(stat_of(1, XVMC_S_RING_PAGES), 2 + (1u << LEAST));
	guest_pair_make(&w.pair[1], &w.ctx[0], &w.ctx[1]);
	talk_to_ring(&w.pair[1]);
	for (int i = 0; i < 2; i++)
		assert_int_equal(ring_size(&w.pair[1], i), bytes_of(LEAST));
}

/* Writes all the time, of each size. */
static void *writer(void *arg)
{
	static uint8_t buf[3 * XVMC_PAGE_SIZE + 1];

	(void)arg;
	while (!w.stop) {
		size_t n = 1 + w.sent % sizeof(buf);

		for (size_t i = 0; i < n; i++)
			buf[i] = content(w.sent + i);
		guest_send(&w.pair[0], 0, buf, n);
		w.sent += n;
	}
	xvmc_sock_shutdown(w.pair[0].ep[0], w.pair[0].fd[0], SHUT_WR);
	return NULL;
}

/* Each lap the writer is asleep before any of it is read. It may be on TCP, where it
 * sleeps in the kernel. */
static void wait_until_full(uint64_t end)
{
	while (w.pair[0].ep[0]->tx_waiters == 0 &&
	       guest_tx_path(&w.pair[0], 0) == XVMC_PATH_RING) {
		assert_true(os_now_ns() < end);
		sched_yield();
	}
}

/* True: there was something; false: the end. */
static bool read_some(void)
{
	static uint8_t buf[2 * XVMC_PAGE_SIZE];
	ssize_t r = guest_recv(&w.pair[0], 1, buf, sizeof(buf), 0);

	assert_true(r >= 0);
	for (ssize_t i = 0; i < r; i++)
		assert_int_equal(buf[i], content(w.read + (uint64_t)i));
	w.read += (uint64_t)r;
	return r > 0;
}

/* A stream whose writer sleeps in each lap, until done says so. */
static void stream_until(bool (*done)(void))
{
	uint64_t end = os_now_ns() + BOUND_NS;
	pthread_t t;

	w.sent = w.read = 0;
	assert_int_equal(pthread_create(&t, NULL, writer, NULL), 0);
	while (!done()) {
		uint64_t to = w.read + ring_size(&w.pair[0], 0);

		assert_true(os_now_ns() < end);
		wait_until_full(end);
		do
			assert_true(read_some());
		while (w.read < to);
	}
	w.stop = true;
	while (read_some())
		;
	pthread_join(t, NULL);
	assert_int_equal(w.sent, w.read);
}

static bool is_largest(void)
{
	return guest_both_on_ring(&w.pair[0]) && ring_size(&w.pair[0], 0) == bytes_of(MOST);
}

static bool was_denied(void)
{
	struct xvmc_endpoint *ep = w.pair[0].ep[0];
	bool yes;

	section_lock(&ep->conn.tx.lock);
	yes = ep->room.denied > 0;
	section_unlock(&ep->conn.tx.lock);
	return yes;
}

/* From small to usual to large, and then no more; whatever it had to say comes. */
static void test_grows(void **state)
{
	(void)state;
	talk_to_ring(&w.pair[0]);
	assert_int_equal(ring_size(&w.pair[0], 0), bytes_of(LEAST));
	stream_until(is_largest);
	assert_int_equal(stat_of(0, XVMC_S_GROWN), 2);
	assert_int_equal(stat_of(1, XVMC_S_GROWN), 0);
	assert_true(stat_of(1, XVMC_S_RING_RX_BYTES) > 0);
	print_message("%llu bytes, %llu by ring\n", (unsigned long long)w.read,
		      (unsigned long long)stat_of(1, XVMC_S_RING_RX_BYTES));
}

static bool slept_enough(void)
{
	return stat_of(0, XVMC_S_SLEEPS) > 1000;
}

/* Where nobody has named bounds rings have one size, whatever they carry. */
static void test_has_the_usual(void **state)
{
	struct xvmc_options *opt = &w.ctx[0].opt;

	(void)state;
	opt->order_least = opt->order_most = opt->order;
	talk_to_ring(&w.pair[0]);
	assert_int_equal(ring_size(&w.pair[0], 0), bytes_of(USUAL));
	stream_until(slept_enough);
	assert_int_equal(ring_size(&w.pair[0], 0), bytes_of(USUAL));
	assert_int_equal(stat_of(0, XVMC_S_GROWN), 0);
}

/* Nor is it larger than its reader has room for. */
static void test_not_beyond_reader(void **state)
{
	int bytes = (int)bytes_of(USUAL) / 2; /* the kernel takes twice as much */

	(void)state;
	assert_int_equal(setsockopt(w.pair[0].fd[1], SOL_SOCKET, SO_RCVBUF, &bytes,
				    sizeof(bytes)), 0);
	talk_to_ring(&w.pair[0]);
	stream_until(slept_enough);
	assert_int_equal(ring_size(&w.pair[0], 0), bytes_of(USUAL));
	assert_int_equal(stat_of(0, XVMC_S_GROWN), 1);
}

/* Pages are short: it stays as it is, on its ring. */
static void test_denied(void **state)
{
	(void)state;
	bulk_to_ring(&w.pair[0]);
	stream_until(was_denied);
	assert_int_equal(stat_of(0, XVMC_S_GROWN), 0);
	assert_true(stat_of(1, XVMC_S_RING_RX_BYTES) > bytes_of(USUAL));
}

/* Others come, and find no pages: the larger one makes way, and all have rings. */
static void test_makes_way(void **state)
{
	uint64_t end = os_now_ns() + BOUND_NS;
	int n = 1;

	(void)state;
	bulk_to_ring(&w.pair[0]);
	stream_until(is_largest);
	w.ctx[0].opt.order_least = USUAL;
	while (stat_of(0, XVMC_S_REASON0 + XVMC_R_NO_GRANTS) == 0) {
		assert_true(n < PAIRS);
		guest_pair_make(&w.pair[n], &w.ctx[0], &w.ctx[1]);
		while (!guest_both_on_ring(&w.pair[n]) &&
		       stat_of(0, XVMC_S_REASON0 + XVMC_R_NO_GRANTS) == 0) {
			assert_true(os_now_ns() < end);
			guest_trip(&w.pair[n]);
		}
		n++;
	}
	talk_to_ring(&w.pair[n - 1]);
	assert_true(ring_size(&w.pair[0], 0) <= bytes_of(USUAL));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_by_what_they_say, setup, teardown),
		cmocka_unit_test_setup_teardown(test_grows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_has_the_usual, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_beyond_reader, setup, teardown),
		cmocka_unit_test_setup_teardown(test_denied, setup_few, teardown),
		cmocka_unit_test_setup_teardown(test_makes_way, setup_some, teardown),
	};

	return fresh_run("grow", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
