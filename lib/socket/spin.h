/* SPDX-License-Identifier: MIT */
/*
 * Bounded adaptive spinning, as all waiting calls do it. Spinning pays when
 * the peer answers within the time a sleep and a wake-up cost. A budget
 * halves with every spin that found nothing, recovers with every one that
 * did, and now and then is tried again. Budgets are hints: two threads that
 * write one at the same time do no harm.
 */
#ifndef XVMC_SOCKET_SPIN_H
#define XVMC_SOCKET_SPIN_H

#include "socket.h"

/* A spinner looks so often between two looks at the clock. */
#define SPIN_LOOKS 32

/* While spinning, the kernel's descriptors are looked at this often. */
#define SPIN_KERNEL_NS 20000u

/* Below this a budget means "asleep for good reasons" and counts probes. */
#define SPIN_LEAST 1000u
#define SPIN_PROBE 64u

static inline void spin_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* How long to spin now, in nanoseconds; 0: not at all. */
static inline uint64_t spin_for(const struct xvmc_ctx *ctx, uint32_t *adaptive)
{
	uint32_t full = ctx->opt.spin_us * 1000u;
	uint32_t now = __atomic_load_n(adaptive, __ATOMIC_RELAXED);

	if (ctx->ncpu < 2 || !full)
		return 0;
	if (now >= SPIN_LEAST)
		return now < full ? now : full;
	__atomic_store_n(adaptive, now + 1, __ATOMIC_RELAXED);
	return (now + 1) % SPIN_PROBE ? 0 : full / 2;
}

static inline void spin_done(struct xvmc_ctx *ctx, uint32_t *adaptive, bool hit)
{
	uint32_t now = __atomic_load_n(adaptive, __ATOMIC_RELAXED);

	if (hit) {
		xvmc_stat_add(ctx->stats, XVMC_S_SPIN_HITS, 1);
		now = ctx->opt.spin_us * 1000u;
	} else if (now >= SPIN_LEAST) {
		now /= 2;
		if (now < SPIN_LEAST)
			now = 0;
	}
	__atomic_store_n(adaptive, now, __ATOMIC_RELAXED);
}

/* ---- deadlines on CLOCK_MONOTONIC; UINT64_MAX: for ever ---- */

#define DEADLINE_NEVER UINT64_MAX

static inline uint64_t deadline_of(const struct timespec *timeout)
{
	/* Past a century nobody can tell. */
	if (!timeout || timeout->tv_sec > 3153600000)
		return DEADLINE_NEVER;
	return os_now_ns() + (uint64_t)timeout->tv_sec * 1000000000u +
	       (uint64_t)timeout->tv_nsec;
}

/* What is left of it, for the kernel: NULL for ever. */
static inline const struct timespec *deadline_left(uint64_t deadline,
						   struct timespec *buf)
{
	uint64_t now, left;

	if (deadline == DEADLINE_NEVER)
		return NULL;
	now = os_now_ns();
	left = deadline > now ? deadline - now : 0;
	buf->tv_sec = (time_t)(left / 1000000000u);
	buf->tv_nsec = (long)(left % 1000000000u);
	return buf;
}

static inline bool deadline_passed(uint64_t deadline)
{
	return deadline != DEADLINE_NEVER && os_now_ns() >= deadline;
}

static inline bool timespec_valid(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < 1000000000;
}

#endif
