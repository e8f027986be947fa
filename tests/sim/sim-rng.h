/* SPDX-License-Identifier: MIT */
/*
 * The simulator's only source of chance. A run is a function of its seed:
 * nothing else, no clock and no address, may decide anything.
 */
#ifndef SIM_RNG_H
#define SIM_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_rng {
	uint64_t state;
};

static inline uint64_t sim_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static inline uint64_t sim_rand(struct sim_rng *rng)
{
	rng->state += 0x9e3779b97f4a7c15u;
	return sim_mix(rng->state);
}

/* 0 .. n - 1; n >= 1. */
static inline uint64_t sim_below(struct sim_rng *rng, uint64_t n)
{
	return sim_rand(rng) % n;
}

/* min .. max, both included. */
static inline uint64_t sim_range(struct sim_rng *rng, uint64_t min, uint64_t max)
{
	return min + sim_below(rng, max - min + 1);
}

static inline bool sim_chance(struct sim_rng *rng, unsigned int permille)
{
	return sim_below(rng, 1000) < permille;
}

/* 1 .. max, small numbers as likely as large ones. */
static inline size_t sim_size(struct sim_rng *rng, size_t max)
{
	unsigned int bits = 0;

	while (((size_t)1 << (bits + 1)) <= max)
		bits++;
	bits = (unsigned int)sim_below(rng, bits + 1);
	max = max < ((size_t)2 << bits) - 1 ? max : ((size_t)2 << bits) - 1;
	return sim_range(rng, (size_t)1 << bits, max);
}

#endif
