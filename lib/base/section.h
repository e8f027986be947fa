/* SPDX-License-Identifier: MIT */
/*
 * Sections: stretches of our code in which no signal handler of the program
 * may run, because it could call us again and wait for a lock that its own
 * thread holds. Blocking signals around each would cost two system calls a
 * stretch. Instead whoever binds the program's handlers (preload/signals.c)
 * looks at the thread's depth, and holds back what comes meanwhile: the end
 * of the outermost section sends it again.
 *
 * All locks of lib/ are taken by section_lock. Nothing sleeps in a section,
 * nor is there a cancellation point in one.
 */
#ifndef XVMC_SECTION_H
#define XVMC_SECTION_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct xvmc_section {
	/* The thread's own; volatile, for its signal handlers look as well. */
	volatile uint32_t depth;
	volatile bool held; /* one signal is held back; all are blocked then */
	/* handlers that ran in this thread: any; of them without SA_RESTART */
	volatile uint32_t ran, ran_hard;
	/* What a call that was jumped out of has left to its thread's next call:
	 * a reference, to be given back (preload.h). */
	void *owed;
	int sig;
	siginfo_t info;
	uint64_t mask; /* the kernel's, as it was before */
};

extern __thread struct xvmc_section xvmc_section
	__attribute__((tls_model("initial-exec")));

/* Sends what was held back again and gives the thread its mask back: the
 * handler runs before this returns, if it ever does. */
void xvmc_section_release(void);

/* A forked child, in the sections its parent entered: what is held back is the
 * parent's to hear of. All sections end. */
void xvmc_section_fork_child(void);

static inline void section_enter(void)
{
	xvmc_section.depth++;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline void section_leave(void)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	/* A signal between the two finds no section and runs at once. */
	if (--xvmc_section.depth == 0 && __builtin_expect(xvmc_section.held, 0))
		xvmc_section_release();
}

static inline void section_lock(pthread_mutex_t *lock)
{
	section_enter();
	pthread_mutex_lock(lock);
}

/* 0, or an errno value as pthread_mutex_trylock. */
static inline int section_trylock(pthread_mutex_t *lock)
{
	int r;

	section_enter();
	r = pthread_mutex_trylock(lock);
	if (r != 0)
		section_leave();
	return r;
}

static inline void section_unlock(pthread_mutex_t *lock)
{
	pthread_mutex_unlock(lock);
	section_leave();
}

#endif
