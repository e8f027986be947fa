/* SPDX-License-Identifier: MIT */
/*
 * A histogram of times with logarithmic buckets: 64 for each power of two,
 * so that any quantile is right within 1.6 %. Adding costs a few
 * instructions. Not locked: one per thread, merged later.
 */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>
#include <stdio.h>

#define HIST_SUB_BITS 6
#define HIST_SUB (1u << HIST_SUB_BITS)
#define HIST_BUCKETS ((64 - HIST_SUB_BITS + 1) * HIST_SUB)

struct hist {
	uint64_t count;
	uint64_t max;
	uint64_t bucket[HIST_BUCKETS];
};

static inline unsigned hist_index(uint64_t value)
{
	unsigned exponent;

	if (value < HIST_SUB)
		return (unsigned)value;
	exponent = 63u - (unsigned)__builtin_clzll(value);
	return (exponent - HIST_SUB_BITS + 1) * HIST_SUB +
	       (unsigned)((value >> (exponent - HIST_SUB_BITS)) & (HIST_SUB - 1));
}

static inline void hist_add(struct hist *hist, uint64_t value)
{
	hist->count++;
	hist->bucket[hist_index(value)]++;
	if (value > hist->max)
		hist->max = value;
}

/* q from 0 to 1. 0 if the histogram is empty. */
uint64_t hist_quantile(const struct hist *hist, double q);
/* How many values were above the limit, within a bucket's width. */
uint64_t hist_above(const struct hist *hist, uint64_t limit);
void hist_merge(struct hist *into, const struct hist *from);

/* One line of text, "MAX BUCKET:COUNT ...", and back. */
void hist_print(const struct hist *hist, FILE *to);
int hist_scan(const char *text, struct hist *ret_hist);

#endif
