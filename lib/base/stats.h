/* SPDX-License-Identifier: MIT */
/*
 * Counters of one process, in a page shared read-only with xvmcd.
 */
#ifndef XVMC_STATS_H
#define XVMC_STATS_H

#include <stdatomic.h>
#include <stdint.h>

#include "reason.h"

enum xvmc_stat {
#define XVMC_STAT(name, key, text) XVMC_S_##name,
#include "stats.def"
#undef XVMC_STAT
	XVMC_S_REASON0, /* + enum xvmc_reason */
	XVMC_S_COUNT = XVMC_S_REASON0 + XVMC_R_COUNT
};

/* One page; 96 counters fit XVMC_STATS_MAX of agent.h. */
struct xvmc_stats_page {
	_Atomic uint64_t value[XVMC_S_COUNT];
};
_Static_assert(XVMC_S_COUNT <= 96, "XVMC_STATS_MAX");

/* Adds n to a counter. Any thread, signal-safe. */
static inline void xvmc_stat_add(struct xvmc_stats_page *stats,
				 unsigned int stat, uint64_t n)
{
	atomic_fetch_add_explicit(&stats->value[stat], n, memory_order_relaxed);
}

/* What there is now, where all others are counts: it is no part of what ended
 * processes leave behind. */
static inline int xvmc_stat_is_level(unsigned int stat)
{
	return stat == XVMC_S_RINGS || stat == XVMC_S_RING_PAGES;
}

/* The JSON key of a counter; reasons are "reason_" and the word.
 * buf: at least 64 bytes, used where the key has to be made. */
const char *xvmc_stat_key(unsigned int stat, char *buf);

#endif
