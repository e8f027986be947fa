/* SPDX-License-Identifier: MIT */
/*
 * The one loop of xvmcd: descriptors, timers, and what is to be done when
 * the events of a round have all been handled. It knows nothing of messages.
 *
 * Threads: one. A watch may be removed and freed inside its own callback,
 * but an object with a watch must not be freed while a round is under way
 * (another event of it may follow): leave that to the `after` hook.
 */
#ifndef XVMCD_LOOP_H
#define XVMCD_LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

struct watch {
	int fd;
	void (*ready)(struct watch *watch, uint32_t events);
};

/* Zeroed: not armed. */
struct timer {
	uint64_t at; /* ns, os_now_ns() */
	uint32_t pos; /* in the heap, from 1; 0: not armed */
	void (*fire)(struct timer *timer);
};

int loop_new(void (*after)(void *ctx), void *ctx, struct loop **ret_loop);

/* Runs until loop_stop(). 0 or -errno. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

int loop_add(struct loop *loop, struct watch *watch, uint32_t events);
int loop_mod(struct loop *loop, struct watch *watch, uint32_t events);
void loop_del(struct loop *loop, struct watch *watch);

/* Fires once, in delay ns; an armed one is moved. -ENOMEM. */
int loop_arm(struct loop *loop, struct timer *timer, uint64_t delay);
void loop_disarm(struct loop *loop, struct timer *timer);

#endif
