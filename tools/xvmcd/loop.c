/* SPDX-License-Identifier: MIT */
/*
 * epoll, and a binary heap of timers.
 */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/os.h"

#define BATCH 64

struct loop {
	int epfd;
	bool stop;
	void (*after)(void *ctx);
	void *ctx;
	struct timer **heap; /* from 1 */
	uint32_t ntimers, room;
};

int loop_new(void (*after)(void *ctx), void *ctx, struct loop **ret_loop)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return -ENOMEM;
	loop->after = after;
	loop->ctx = ctx;
	loop->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epfd < 0) {
		int rc = -errno;

		free(loop);
		return rc;
	}
	*ret_loop = loop;
	return 0;
}

void loop_stop(struct loop *loop)
{
	loop->stop = true;
}

static int control(struct loop *loop, int op, struct watch *watch,
		   uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = watch };

	return epoll_ctl(loop->epfd, op, watch->fd, &ev) < 0 ? -errno : 0;
}

int loop_add(struct loop *loop, struct watch *watch, uint32_t events)
{
	return control(loop, EPOLL_CTL_ADD, watch, events);
}

int loop_mod(struct loop *loop, struct watch *watch, uint32_t events)
{
	return control(loop, EPOLL_CTL_MOD, watch, events);
}

void loop_del(struct loop *loop, struct watch *watch)
{
	control(loop, EPOLL_CTL_DEL, watch, 0);
}

/* ---- the heap: no parent is later than its children ---- */

static void place(struct loop *loop, struct timer *timer, uint32_t pos)
{
	loop->heap[pos] = timer;
	timer->pos = pos;
}

static void sift_up(struct loop *loop, struct timer *timer, uint32_t pos)
{
	while (pos > 1 && loop->heap[pos / 2]->at > timer->at) {
		place(loop, loop->heap[pos / 2], pos);
		pos /= 2;
	}
	place(loop, timer, pos);
}

static void sift_down(struct loop *loop, struct timer *timer, uint32_t pos)
{
	for (;;) {
		uint32_t child = 2 * pos;

		if (child < loop->ntimers && loop->heap[child + 1]->at < loop->heap[child]->at)
			child++;
		if (child > loop->ntimers || loop->heap[child]->at >= timer->at)
			break;
		place(loop, loop->heap[child], pos);
		pos = child;
	}
	place(loop, timer, pos);
}

void loop_disarm(struct loop *loop, struct timer *timer)
{
	uint32_t pos = timer->pos;
	struct timer *last;

	if (pos == 0)
		return;
	timer->pos = 0;
	last = loop->heap[loop->ntimers--];
	if (last == timer)
		return;
	sift_down(loop, last, pos);
	sift_up(loop, last, last->pos);
}

int loop_arm(struct loop *loop, struct timer *timer, uint64_t delay)
{
	loop_disarm(loop, timer);
	if (loop->ntimers + 1 >= loop->room) {
		uint32_t room = loop->room ? 2 * loop->room : 64;
		struct timer **heap = realloc(loop->heap, room * sizeof(*heap));

		if (!heap)
			return -ENOMEM;
		loop->heap = heap;
		loop->room = room;
	}
	timer->at = os_now_ns() + delay;
	sift_up(loop, timer, ++loop->ntimers);
	return 0;
}

static void fire_due(struct loop *loop)
{
	uint64_t now = os_now_ns();

	while (loop->ntimers > 0 && loop->heap[1]->at <= now) {
		struct timer *timer = loop->heap[1];

		loop_disarm(loop, timer);
		timer->fire(timer);
	}
}

/* Milliseconds to the next timer, rounded up. */
static int timeout(const struct loop *loop)
{
	uint64_t now, ms;

	if (loop->ntimers == 0)
		return -1;
	now = os_now_ns();
	if (loop->heap[1]->at <= now)
		return 0;
	ms = (loop->heap[1]->at - now + 999999) / 1000000;
	return ms < 60000 ? (int)ms : 60000;
}

int loop_run(struct loop *loop)
{
	struct epoll_event evs[BATCH];

	loop->after(loop->ctx);
	while (!loop->stop) {
		int n = epoll_wait(loop->epfd, evs, BATCH, timeout(loop));

		if (n < 0 && errno != EINTR)
			return -errno;
		for (int i = 0; i < n; i++) {
			struct watch *watch = evs[i].data.ptr;

			watch->ready(watch, evs[i].events);
		}
		fire_due(loop);
		loop->after(loop->ctx);
	}
	return 0;
}
