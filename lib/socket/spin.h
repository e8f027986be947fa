/* SPDX-License-Identifier: MIT */
/*
 * Bounded adaptive spinning, as all waiting calls do it. Spinning pays when
 * the peer answers within the time a sleep and a wake-up cost. A budget
 * halves with every spin that found nothing and recovers with every one that
 * did. When nothing is left of it, the whole of it is tried again now and
 * then, more and more rarely: two who wait for each other asleep find out so
 * that awake they need not. Budgets are hints: two threads that write one at
 * the same time do no harm.
 */
#ifndef XVMC_SOCKET_SPIN_H
#define XVMC_SOCKET_SPIN_H

#include "socket.h"

/* A spinner looks so often between two looks at the clock. */
#define SPIN_LOOKS 32

/* While spinning, the kernel's descriptors are looked at this often. */
#define SPIN_KERNEL_NS 20000u

/* A budget below this is none. */
#define SPIN_LEAST 1000u
/* Waits without spinning until it is tried again: at first, and at most. */
#define SPIN_REST_MIN 64u
#define SPIN_REST_MAX 4096u
/* Of so many hits in a row one is checked. */
#define SPIN_CHECK 16u

static inline void spin_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

#define SPIN_GET(field) __atomic_load_n(&(field), __ATOMIC_RELAXED)
#define SPIN_SET(field, n) __atomic_store_n(&(field), (n), __ATOMIC_RELAXED)

static inline void spin_init(const struct xvmc_ctx *ctx, struct spinner *s)
{
	SPIN_SET(s->budget, ctx->opt.spin_us * 1000u);
	SPIN_SET(s->skip, 0);
	SPIN_SET(s->rest, 0);
	SPIN_SET(s->hits, 0);
}

/* How long to spin now, in nanoseconds; 0: not at all. */
static inline uint64_t spin_for(const struct xvmc_ctx *ctx, struct spinner *s)
{
	uint32_t full = ctx->opt.spin_us * 1000u;
	uint32_t budget = SPIN_GET(s->budget), skip = SPIN_GET(s->skip);

	if (!full || ctx->spins == XVMC_SPINS_NOT)
		return 0;
	if (budget)
		return budget < full ? budget : full;
	if (skip) {
		SPIN_SET(s->skip, skip - 1);
		return 0;
	}
	return full;
}

static inline void spin_missed(struct spinner *s)
{
	uint32_t budget = SPIN_GET(s->budget) / 2, rest = SPIN_GET(s->rest) * 2;

	SPIN_SET(s->hits, 0);
	if (budget < SPIN_LEAST)
		budget = 0;
	SPIN_SET(s->budget, budget);
	if (budget)
		return;
	if (rest < SPIN_REST_MIN)
		rest = SPIN_REST_MIN;
	if (rest > SPIN_REST_MAX)
		rest = SPIN_REST_MAX;
	SPIN_SET(s->rest, rest);
	SPIN_SET(s->skip, rest);
}

/* Between two batches of looks. A thread that yields may get its processor back after
 * its time: then somebody had use for it, which counts as nothing found. */
static inline void spin_breathe(const struct xvmc_ctx *ctx)
{
	if (ctx->spins == XVMC_SPINS_YIELDING)
		OS0(SYS_sched_yield);
}

/*
 * What came of spinning until end. Who finds something after its time was not
 * awake meanwhile: somebody else had the CPU, perhaps the very peer it waited
 * for. That is no hit, but looking at the clock each time would cost too much.
 */
static inline void spin_done(struct xvmc_ctx *ctx, struct spinner *s, bool hit,
			     uint64_t end)
{
	uint32_t hits = SPIN_GET(s->hits);

	if (hit && hits % SPIN_CHECK == 0 && os_now_ns() > end)
		hit = false;
	if (!hit) {
		spin_missed(s);
		return;
	}
	xvmc_stat_add(ctx->stats, XVMC_S_SPIN_HITS, 1);
	SPIN_SET(s->hits, hits + 1);
	SPIN_SET(s->rest, 0);
	SPIN_SET(s->budget, ctx->opt.spin_us * 1000u);
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
