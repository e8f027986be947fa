/* SPDX-License-Identifier: MIT */
/*
 * The short way of send and recv (lib/socket/stream-now.c), which takes no
 * reference: between its first look and its lock the number may be closed, and
 * lead to another connection in the very same memory. The linker puts a
 * function of ours in between (--wrap).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include "fresh.h"
#include "guests.h"
#include "xvmcd.h"

#define BOUND_NS 10000000000u
#define PAIRS 64

struct world {
	struct xvmcd_run xvmcd;
	struct xvmc_ctx ctx[2];
	struct guest_pair pair[PAIRS];
	int pairs; /* made so far */
	int now;   /* the one whose end 0 number leads to */
	int number;
	struct xvmc_endpoint *ep; /* behind it, of whatever connection */
	void (*meanwhile)(void); /* once, before that lock is taken */
	pthread_mutex_t *lock;
	pthread_t self;
};

static struct world w;

int __real_pthread_mutex_trylock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *lock);

int __wrap_pthread_mutex_trylock(pthread_mutex_t *lock)
{
	void (*meanwhile)(void) = w.meanwhile;

	if (lock != w.lock || !pthread_equal(pthread_self(), w.self))
		return __real_pthread_mutex_trylock(lock);
	w.meanwhile = NULL;
	if (meanwhile)
		meanwhile();
	return pthread_mutex_lock(lock); /* not in vain */
}

/* Round trips until all of it goes by ring. */
static void bring_to_ring(struct guest_pair *p)
{
	uint64_t end = os_now_ns() + BOUND_NS, x = 0, y;

	while (!guest_on_ring(p, 0) || !guest_on_ring(p, 1)) {
		assert_true(os_now_ns() < end);
		for (int i = 0; i < 2; i++, x++) {
			guest_send(p, i, &x, sizeof(x));
			assert_int_equal(guest_recv(p, !i, &y, sizeof(y), MSG_WAITALL),
					 sizeof(y));
			assert_int_equal(x, y);
		}
	}
}

static int setup(void **state)
{
	(void)state;
	w.self = pthread_self();
	xvmcd_start(&w.xvmcd, NULL);
	guest_make(&w.ctx[0], w.xvmcd.dir, "vm1");
	guest_make(&w.ctx[1], w.xvmcd.dir, "vm2");
	guest_pair_make(&w.pair[w.pairs++], &w.ctx[0], &w.ctx[1]);
	bring_to_ring(&w.pair[0]);
	w.number = w.pair[0].fd[0];
	w.ep = w.pair[0].ep[0];
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < w.pairs; i++)
		for (int end = 0; end < 2; end++)
			guest_pair_end(&w.pair[i], end);
	for (int i = 0; i < 2; i++)
		xvmc_ctx_deinit(&w.ctx[i]);
	xvmcd_stop(&w.xvmcd);
	return 0;
}

/* The peer sees the end, and nothing before it. */
static void close_it(void)
{
	uint64_t y;

	guest_pair_end(&w.pair[0], 0);
	assert_int_equal(guest_recv(&w.pair[0], 1, &y, sizeof(y), 0), 0);
	guest_pair_end(&w.pair[0], 1);
}

static void move_number(struct guest_pair *p, int to)
{
	assert_int_equal(dup2(p->fd[0], to), to);
	xvmc_sock_dup(&w.ctx[0], p->fd[0], to);
	xvmc_sock_close(&w.ctx[0], p->fd[0]);
	close(p->fd[0]);
	p->fd[0] = to;
}

/* Closes it, and has the memory be another connection's, of another number. */
static void reuse_it(void)
{
	struct guest_pair *p = NULL;

	close_it();
	/* The memory is free when the service thread has let go of it. */
	while (!p || p->ep[0] != w.ep) {
		assert_true(w.pairs < PAIRS);
		usleep(1000);
		p = &w.pair[w.pairs++];
		guest_pair_make(p, &w.ctx[0], &w.ctx[1]);
	}
	w.now = w.pairs - 1;
	if (p->fd[0] == w.number)
		move_number(p, 100);
}

/* The number, too. */
static void replace_it(void)
{
	reuse_it();
	move_number(&w.pair[w.now], w.number);
}

static void reuse_it_by_a_ring(void)
{
	reuse_it();
	bring_to_ring(&w.pair[w.now]);
}

/* And there is something to read. */
static void reuse_it_full(void)
{
	uint64_t x = 12;

	reuse_it_by_a_ring();
	guest_send(&w.pair[w.now], 1, &x, sizeof(x));
}

static void replace_it_by_a_ring(void)
{
	replace_it();
	bring_to_ring(&w.pair[w.now]);
}

/* As a wrapper does: who is behind the number, seen without a reference. */
static struct xvmc_endpoint *glimpse(void)
{
	struct xvmc_endpoint *ep = xvmc_ep_peek(&w.ctx[0], w.number);

	return ep && xvmc_ep_managed(ep) ? ep : NULL;
}

static size_t send_now(const void *buf, size_t n)
{
	const struct iovec vec = { (void *)(uintptr_t)buf, n };
	struct xvmc_endpoint *ep = glimpse();

	return ep ? xvmc_ep_send_now(ep, w.number, &vec) : 0;
}

static size_t send_while(void (*meanwhile)(void), uint64_t x)
{
	w.lock = &w.ep->conn.tx.lock;
	w.meanwhile = meanwhile;
	return send_now(&x, sizeof(x));
}

static size_t recv_while(void (*meanwhile)(void), uint64_t *ret_x)
{
	const struct iovec vec = { ret_x, sizeof(*ret_x) };
	struct xvmc_endpoint *ep = glimpse();

	w.lock = &w.ep->conn.rx.lock;
	w.meanwhile = meanwhile;
	return ep ? xvmc_ep_recv_now(ep, w.number, &vec) : 0;
}

/* The same with nothing in between; but the service thread may have something to
 * see to first. */
static void send_soon(uint64_t x)
{
	uint64_t end = os_now_ns() + BOUND_NS;
	size_t r;

	while ((r = send_while(NULL, x)) == 0)
		assert_true(os_now_ns() < end);
	assert_int_equal(r, sizeof(x));
}

static void recv_soon(uint64_t x)
{
	uint64_t end = os_now_ns() + BOUND_NS, y = 0;
	size_t r;

	while ((r = recv_while(NULL, &y)) == 0)
		assert_true(os_now_ns() < end);
	assert_int_equal(r, sizeof(y));
	assert_int_equal(y, x);
}

/* What comes to end 1 of a pair. */
static void expect(int pair, uint64_t x)
{
	uint64_t y;

	assert_int_equal(guest_recv(&w.pair[pair], 1, &y, sizeof(y), 0), sizeof(y));
	assert_int_equal(x, y);
}

static void test_usual(void **state)
{
	static char much[1 << 22];
	uint64_t y = 0;

	(void)state;
	for (uint64_t x = 1; x < 1000; x++) {
		send_soon(x);
		expect(0, x);
		assert_int_equal(recv_while(NULL, &y), 0);
		guest_send(&w.pair[0], 1, &x, sizeof(x));
		recv_soon(x);
	}
	/* All of it or nothing. */
	assert_int_equal(send_now(much, sizeof(much)), 0);
	send_soon(7);
	expect(0, 7);
}

static void test_sent_to_closed(void **state)
{
	(void)state;
	assert_int_equal(send_while(close_it, 1), 0);
	assert_null(w.meanwhile);
}

static void test_sent_to_plain(void **state)
{
	uint64_t x = 5;

	(void)state;
	assert_int_equal(send_while(replace_it, 1), 0);
	assert_null(w.meanwhile);
	guest_send(&w.pair[w.now], 0, &x, sizeof(x));
	expect(w.now, x);
}

/* As if the call had been made when all was over. */
static void test_sent_to_another(void **state)
{
	uint64_t x = 9;

	(void)state;
	if (!send_while(replace_it_by_a_ring, x))
		guest_send(&w.pair[w.now], 0, &x, sizeof(x));
	assert_null(w.meanwhile);
	expect(w.now, x);
	guest_send(&w.pair[w.now], 0, &w.now, sizeof(w.now));
	assert_int_equal(guest_recv(&w.pair[w.now], 1, &x, sizeof(x), 0), sizeof(w.now));
}

/* The number leads nowhere, or elsewhere; the memory is no reason. */
static void test_sent_to_memory(void **state)
{
	uint64_t x = 11;

	(void)state;
	assert_int_equal(send_while(reuse_it_by_a_ring, 1), 0);
	assert_null(w.meanwhile);
	guest_send(&w.pair[w.now], 0, &x, sizeof(x));
	expect(w.now, x);
}

static void test_read_from_memory(void **state)
{
	uint64_t y = 0;

	(void)state;
	assert_int_equal(recv_while(reuse_it_full, &y), 0);
	assert_null(w.meanwhile);
	assert_int_equal(guest_recv(&w.pair[w.now], 0, &y, sizeof(y), 0), sizeof(y));
	assert_int_equal(y, 12);
}

static void test_read_from_another(void **state)
{
	uint64_t x = 4, y = 0;

	(void)state;
	assert_int_equal(recv_while(replace_it_by_a_ring, &y), 0);
	assert_null(w.meanwhile);
	guest_send(&w.pair[w.now], 1, &x, sizeof(x));
	recv_soon(x);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_usual, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sent_to_closed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sent_to_plain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sent_to_another, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sent_to_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_from_another, setup, teardown),
		cmocka_unit_test_setup_teardown(test_read_from_memory, setup, teardown),
	};

	return fresh_run("now", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
