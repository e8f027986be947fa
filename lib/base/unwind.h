/* SPDX-License-Identifier: MIT */
/*
 * What a call must undo however it is left: by return, by pthread_cancel, or
 * by a signal handler that jumps out of it. libc runs these for the last two
 * (its longjmp knows them, but not the ones pthread_cleanup_push makes today,
 * which cost a setjmp besides).
 */
#ifndef XVMC_UNWIND_H
#define XVMC_UNWIND_H

#include <pthread.h>

void _pthread_cleanup_push(struct _pthread_cleanup_buffer *buf,
			   void (*fn)(void *), void *arg);
void _pthread_cleanup_pop(struct _pthread_cleanup_buffer *buf, int execute);

struct unwind {
	struct _pthread_cleanup_buffer buf;
};

/* In the frame of the function that calls unwind_pop, in the reverse order. */
static inline void unwind_push(struct unwind *u, void (*fn)(void *), void *arg)
{
	_pthread_cleanup_push(&u->buf, fn, arg);
}

static inline void unwind_pop(struct unwind *u, int run)
{
	_pthread_cleanup_pop(&u->buf, run);
}

#endif
