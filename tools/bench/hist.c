/* SPDX-License-Identifier: MIT */
/*
 * Quantiles, merging, and text form of the logarithmic histogram.
 */
#include "hist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The middle of a bucket. */
static uint64_t bucket_value(unsigned index)
{
	unsigned shift;
	uint64_t low;

	if (index < 2 * HIST_SUB)
		return index;
	shift = index / HIST_SUB - 1;
	low = (uint64_t)(HIST_SUB + index % HIST_SUB) << shift;
	return low + ((uint64_t)1 << shift) / 2;
}

uint64_t hist_quantile(const struct hist *hist, double q)
{
	uint64_t rank = (uint64_t)(q * (double)hist->count);
	uint64_t seen = 0;

	if (rank >= hist->count)
		return hist->max;
	for (unsigned i = 0; i < HIST_BUCKETS; i++) {
		seen += hist->bucket[i];
		if (seen > rank) {
			uint64_t value = bucket_value(i);

			return value < hist->max ? value : hist->max;
		}
	}
	return hist->max;
}

uint64_t hist_above(const struct hist *hist, uint64_t limit)
{
	uint64_t above = 0;

	for (unsigned i = hist_index(limit) + 1; i < HIST_BUCKETS; i++)
		above += hist->bucket[i];
	return above;
}

void hist_merge(struct hist *into, const struct hist *from)
{
	into->count += from->count;
	if (from->max > into->max)
		into->max = from->max;
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		into->bucket[i] += from->bucket[i];
}

void hist_print(const struct hist *hist, FILE *to)
{
	fprintf(to, "%llu", (unsigned long long)hist->max);
	for (unsigned i = 0; i < HIST_BUCKETS; i++)
		if (hist->bucket[i])
			fprintf(to, " %u:%llu", i, (unsigned long long)hist->bucket[i]);
}

int hist_scan(const char *text, struct hist *ret_hist)
{
	struct hist hist = { 0 };
	char *end;

	hist.max = strtoull(text, &end, 10);
	if (end == text)
		return -EINVAL;
	while (*end == ' ') {
		unsigned long index = strtoul(end, &end, 10);
		uint64_t count;

		if (*end != ':' || index >= HIST_BUCKETS)
			return -EINVAL;
		count = strtoull(end + 1, &end, 10);
		hist.bucket[index] += count;
		hist.count += count;
	}
	*ret_hist = hist;
	return 0;
}
