/* SPDX-License-Identifier: MIT */
/*
 * The accountant of one direction of a checked stream. It is fed what was
 * received, in order, and says of every byte whether it is right; and if
 * not, what happened: bytes lost, doubled, out of order, altered, or from
 * another stream. Not locked: one thread feeds it.
 */
#ifndef BENCH_CHECKER_H
#define BENCH_CHECKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECKER_RANGES 128
#define CHECKER_HUNT (64u << 10)

struct checker_counts {
	uint64_t received;
	uint64_t verified;   /* right, each position counted once */
	uint64_t lost;       /* never seen; includes truncated */
	uint64_t duplicated; /* seen again */
	uint64_t reordered;  /* seen, but after later ones */
	uint64_t corrupted;  /* belong nowhere in this stream; includes crossed */
	uint64_t crossed;    /* parts of another stream of this run */
	uint64_t truncated;  /* missing at the end */
	uint64_t events;     /* places where something was wrong */
};

struct checker_range {
	uint64_t from;
	uint64_t to;
};

/* The keys of all streams of the run, [connection * 2 + direction]. */
struct checker_keys {
	const uint64_t *key;
	unsigned count;
};

struct checker {
	struct checker_keys keys;
	unsigned own;
	uint64_t key;
	uint64_t cursor; /* the position the next byte ought to have */
	uint64_t high;   /* positions below it were seen or are in missing[] */
	struct checker_range missing[CHECKER_RANGES];
	unsigned n_missing;
	uint64_t forgotten; /* lost bytes that missing[] had no room for */
	bool hunting;       /* hunt[0] is a byte that was wrong at cursor */
	bool crossed;       /* while hunting: another stream's bytes were found */
	uint8_t *hunt;
	size_t hunt_len;
	size_t scanned;
	struct checker_counts counts;
};

/* keys.key must outlive the checker. */
void checker_init(struct checker *c, struct checker_keys keys, unsigned own);
void checker_deinit(struct checker *c);

void checker_feed(struct checker *c, const void *buf, size_t n);
/* At the end of the stream. total: how many bytes the sender has sent. */
void checker_finish(struct checker *c, uint64_t total);

/* Everything there, once, in order. */
bool checker_right(const struct checker_counts *counts);
void checker_add(struct checker_counts *into, const struct checker_counts *from);

#endif
