/* SPDX-License-Identifier: MIT */
/*
 * poll, select and epoll over a connection that is on rings, called as the
 * wrappers call them: one context, both ends in it, a real xvmcd. Asks what
 * the conformance programs cannot ask from outside: that a wait looks only at
 * active members, that a late event of a reused registration is nobody's, and
 * that the waiting calls agree with each other at every step.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "fresh.h"
#include "guests.h"
#include "socket/epoll.h"
#include "xvmcd.h"

static const struct timespec zero, second = { .tv_sec = 1 };

static struct xvmcd_run daemon_run;
static struct xvmc_ctx ctx;

static int setup(void **state)
{
	(void)state;
	xvmcd_start(&daemon_run, NULL);
	guest_make(&ctx, daemon_run.dir, "local");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	xvmc_ctx_deinit(&ctx);
	xvmcd_stop(&daemon_run);
	return 0;
}

static ssize_t get(struct guest_pair *p, int i, size_t n)
{
	char buf[256];

	return guest_recv(p, i, buf, n, MSG_DONTWAIT);
}

/* Until n bytes have come; poll is what waits for them. */
static void get_all(struct guest_pair *p, int i, size_t n)
{
	while (n) {
		struct pollfd pfd = { .fd = p->fd[i], .events = POLLIN };
		ssize_t r;

		assert_int_equal(xvmc_poll(&ctx, &pfd, 1, &second, NULL), 1);
		r = get(p, i, n);
		if (r == -EAGAIN)
			continue;
		assert_true(r > 0);
		n -= (size_t)r;
	}
}

static void warm(struct guest_pair *p)
{
	uint64_t bound = os_now_ns() + 60000000000u;

	for (int i = 0; os_now_ns() < bound && !guest_both_on_ring(p); i++) {
		guest_send(p, 0, "ping", 4);
		get_all(p, 1, 4);
		guest_send(p, 1, "pong", 4);
		get_all(p, 0, 4);
		if (i > 50)
			usleep(1000);
	}
	assert_true(guest_both_on_ring(p));
}

static void make(struct guest_pair *p)
{
	guest_pair_make(p, &ctx, &ctx);
}

static void end(struct guest_pair *p)
{
	guest_pair_end(p, 0);
	guest_pair_end(p, 1);
}

static int new_set(void)
{
	int epfd = epoll_create1(EPOLL_CLOEXEC);

	assert_true(epfd >= 0);
	xvmc_epoll_created(&ctx, epfd);
	return epfd;
}

static void end_set(int epfd)
{
	xvmc_sock_close(&ctx, epfd);
	close(epfd);
}

static int ctl(int epfd, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	return xvmc_epoll_ctl(&ctx, epfd, op, fd, &ev);
}

/* One event at most, within a second where wait is set: its data, 0 for none. */
static uint64_t one(int epfd, bool wait, uint32_t *ret_events)
{
	struct epoll_event ev = { 0 };
	int r = xvmc_epoll_pwait(&ctx, epfd, &ev, 1, wait ? &second : &zero, NULL);

	assert_in_range(r, 0, 1);
	*ret_events = ev.events;
	return r ? ev.data.u64 : 0;
}

/* A connection on rings, whose second end a new set watches, data 7. */
static int begin(struct guest_pair *p, uint32_t events)
{
	int epfd = new_set();

	make(p);
	warm(p);
	assert_int_equal(ctl(epfd, EPOLL_CTL_ADD, p->fd[1], events, 7), 0);
	return epfd;
}

static void finish(struct guest_pair *p, int epfd)
{
	end_set(epfd);
	end(p);
}

static void test_level(void **state)
{
	struct guest_pair p;
	int epfd = new_set();
	uint32_t ev;

	(void)state;
	make(&p);
	assert_int_equal(ctl(epfd, EPOLL_CTL_ADD, p.fd[1], EPOLLIN, 7), 0);
	warm(&p);
	assert_int_equal(one(epfd, false, &ev), 0);
	guest_send(&p, 0, "abcd", 4);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(one(epfd, true, &ev), 7);
		assert_int_equal(ev, EPOLLIN);
	}
	assert_int_equal(get(&p, 1, 4), 4);
	assert_int_equal(one(epfd, false, &ev), 0);
	assert_int_equal(ctl(epfd, EPOLL_CTL_ADD, p.fd[1], EPOLLIN, 8), -EEXIST);
	assert_int_equal(ctl(epfd, EPOLL_CTL_DEL, p.fd[1], 0, 0), 0);
	assert_int_equal(ctl(epfd, EPOLL_CTL_DEL, p.fd[1], 0, 0), -ENOENT);
	assert_int_equal(ctl(epfd, EPOLL_CTL_MOD, p.fd[1], EPOLLIN, 9), -ENOENT);
	guest_send(&p, 0, "abcd", 4);
	assert_int_equal(one(epfd, false, &ev), 0);
	finish(&p, epfd);
}

static void test_edge(void **state)
{
	struct guest_pair p;
	int epfd = begin(&p, EPOLLIN | EPOLLET);
	uint32_t ev;

	(void)state;
	/* Undrained all the time: each arrival is an edge, and only that. */
	for (int i = 0; i < 20; i++) {
		guest_send(&p, 0, "abc", 3);
		assert_int_equal(one(epfd, true, &ev), 7);
		assert_int_equal(one(epfd, false, &ev), 0);
	}
	assert_int_equal(get(&p, 1, 60), 60);
	assert_int_equal(one(epfd, false, &ev), 0);
	assert_int_equal(ctl(epfd, EPOLL_CTL_MOD, p.fd[1],
			     EPOLLIN | EPOLLOUT | EPOLLET, 8), 0);
	assert_int_equal(one(epfd, true, &ev), 8);
	assert_int_equal(ev, EPOLLOUT);
	assert_int_equal(one(epfd, false, &ev), 0);
	finish(&p, epfd);
}

static void test_oneshot(void **state)
{
	struct guest_pair p;
	int epfd = begin(&p, EPOLLIN | EPOLLONESHOT);
	uint32_t ev;

	(void)state;
	for (uint64_t data = 8; data < 20; data++) {
		guest_send(&p, 0, "abc", 3);
		assert_int_equal(one(epfd, true, &ev), data - 1);
		assert_int_equal(one(epfd, false, &ev), 0);
		assert_int_equal(get(&p, 1, 3), 3);
		assert_int_equal(ctl(epfd, EPOLL_CTL_MOD, p.fd[1],
				     EPOLLIN | EPOLLONESHOT, data), 0);
		assert_int_equal(one(epfd, false, &ev), 0);
	}
	finish(&p, epfd);
}

/* A slot that was freed has another generation: its late events are dropped. */
static void test_reuse(void **state)
{
	struct xvmc_epolls *e;
	struct xvmc_epreg *reg;
	uint64_t tag;

	(void)state;
	end_set(new_set()); /* the arena is there */
	assert_int_equal(epolls_get(&ctx, &e), 0);
	reg = epreg_new(e, EPREG_ENDPOINT);
	tag = epreg_tag(reg);
	assert_true(epreg_is_ours(e, tag));
	assert_ptr_equal(epreg_of(tag), reg);
	epreg_free(e, reg);
	assert_null(epreg_of(tag));
	assert_ptr_equal(epreg_new(e, EPREG_ENDPOINT), reg);
	assert_null(epreg_of(tag));
	epreg_free(e, reg);
	assert_false(epreg_is_ours(e, 0));
	assert_false(epreg_is_ours(e, 5));
	assert_false(epreg_is_ours(e, (uint64_t)(uintptr_t)reg));
	assert_false(epreg_is_ours(e, UINT64_MAX));
}

#define IDLE 30 /* so many fit under RLIMIT_NOFILE 1024 */

/* Members that nobody writes to leave the hot list and cost nothing. */
static void test_idle_leave(void **state)
{
	static struct guest_pair p[IDLE];
	struct xvmc_epset *set;
	uint64_t until = os_now_ns() + 10000000000u;
	int epfd = new_set();
	uint32_t ev;

	(void)state;
	for (int i = 0; i < IDLE; i++) {
		make(&p[i]);
		warm(&p[i]);
		assert_int_equal(ctl(epfd, EPOLL_CTL_ADD, p[i].fd[1], EPOLLIN,
				     (uint64_t)i + 1), 0);
	}
	set = (struct xvmc_epset *)(void *)xvmc_fd_get(&ctx, epfd);
	assert_int_equal(set->nmanaged, IDLE);
	/* Among others it takes as many waits as bells still ring. */
	for (int n = 0; n < 200 || (set->nhot > 2 && os_now_ns() < until); n++) {
		guest_send(&p[3], 0, "x", 1);
		assert_int_equal(one(epfd, true, &ev), 4);
		assert_int_equal(get(&p[3], 1, 1), 1);
	}
	assert_in_range(set->nhot, 0, 2);
	/* and none of them is forgotten */
	for (int i = 0; i < IDLE; i++) {
		guest_send(&p[i], 0, "x", 1);
		assert_int_equal(one(epfd, true, &ev), i + 1);
		assert_int_equal(get(&p[i], 1, 1), 1);
	}
	xvmc_obj_put(&ctx, &set->obj);
	end_set(epfd);
	for (int i = 0; i < IDLE; i++)
		end(&p[i]);
}

/* poll, select, epoll and a nested epoll say the same of the same moment. */
static void test_agree(void **state)
{
	uint64_t seed = fresh_seed();
	int in = new_set(), out = new_set();
	size_t there = 0;
	struct guest_pair p;

	(void)state;
	make(&p);
	warm(&p);
	assert_int_equal(ctl(in, EPOLL_CTL_ADD, p.fd[1], EPOLLIN, 1), 0);
	assert_int_equal(ctl(out, EPOLL_CTL_ADD, in, EPOLLIN, 2), 0);
	for (int n = 0; n < 2000; n++) {
		struct timespec none = { 0 };
		struct pollfd pfd[2] = { { .fd = p.fd[1], .events = POLLIN },
					 { .fd = in, .events = POLLIN } };
		uint32_t ev;
		fd_set rd;

		if (fresh_random(&seed, 2) && there < 100) {
			guest_send(&p, 0, "abcdefgh", 8);
			there += 8;
		} else if (there) {
			size_t k = fresh_random(&seed, (uint32_t)there) + 1;

			assert_int_equal(get(&p, 1, k), k);
			there -= k;
		}
		assert_int_equal(xvmc_poll(&ctx, pfd, 2, &zero, NULL), there ? 2 : 0);
		FD_ZERO(&rd);
		FD_SET(p.fd[1], &rd);
		assert_int_equal(xvmc_select(&ctx, p.fd[1] + 1, &rd, NULL, NULL,
					     &none, NULL), there ? 1 : 0);
		assert_int_equal(one(in, false, &ev), there ? 1 : 0);
		assert_int_equal(one(out, false, &ev), there ? 2 : 0);
	}
	end_set(out);
	end_set(in);
	end(&p);
}

#define TRIPS 200

/* Answers without waiting anywhere, so that no spin of its own is counted. */
static void *answer(void *arg)
{
	struct guest_pair *p = arg;
	char c;

	for (;;) {
		while (guest_recv(p, 0, &c, 1, MSG_DONTWAIT) == -EAGAIN)
			sched_yield();
		if (c == '.')
			return NULL;
		guest_send(p, 0, &c, 1);
	}
}

/* Who waits for an answer sees it while it spins. A look that found nothing
 * does not make the next readiness an old one. */
static void spins_for(uint32_t events, enum xvmc_spins how)
{
	struct guest_pair p;
	int epfd = begin(&p, events);
	uint64_t bound = os_now_ns() + 60000000000u, before;
	pthread_t thread;

	ctx.opt.spin_us = 10000;
	ctx.spins = how;
	before = ctx.stats->value[XVMC_S_SPIN_HITS];
	assert_int_equal(pthread_create(&thread, NULL, answer, &p), 0);
	/* Where CPUs are scarce, who answers may not run while we spin. */
	for (int i = 0; i < TRIPS || (ctx.stats->value[XVMC_S_SPIN_HITS] == before &&
				      how != XVMC_SPINS_NOT && os_now_ns() < bound); i++) {
		uint32_t ev = 0;

		guest_send(&p, 1, "?", 1);
		while (one(epfd, true, &ev) == 0)
			;
		assert_int_equal(get(&p, 1, 1), 1);
	}
	guest_send(&p, 1, ".", 1);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(ctx.stats->value[XVMC_S_SPIN_HITS] > before, how != XVMC_SPINS_NOT);
	ctx.spins = XVMC_SPINS_FREELY;
	end_set(epfd);
	end(&p);
}

static void test_spins_level(void **state)
{
	(void)state;
	spins_for(EPOLLIN, XVMC_SPINS_FREELY);
}

static void test_spins_edge(void **state)
{
	(void)state;
	spins_for(EPOLLIN | EPOLLET, XVMC_SPINS_FREELY);
}

/* As in a guest with one processor; and as where there is one for both ends. */
static void test_spins_yielding(void **state)
{
	(void)state;
	spins_for(EPOLLIN, XVMC_SPINS_YIELDING);
}

static void test_spins_not(void **state)
{
	(void)state;
	spins_for(EPOLLIN, XVMC_SPINS_NOT);
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_level, setup, teardown),
		cmocka_unit_test_setup_teardown(test_edge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_oneshot, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reuse, setup, teardown),
		cmocka_unit_test_setup_teardown(test_idle_leave, setup, teardown),
		cmocka_unit_test_setup_teardown(test_agree, setup, teardown),
		cmocka_unit_test_setup_teardown(test_spins_level, setup, teardown),
		cmocka_unit_test_setup_teardown(test_spins_edge, setup, teardown),
		cmocka_unit_test_setup_teardown(test_spins_yielding, setup, teardown),
		cmocka_unit_test_setup_teardown(test_spins_not, setup, teardown),
	};

	return fresh_run("epoll", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
