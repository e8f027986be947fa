/* SPDX-License-Identifier: MIT */
/*
 * The content of a checked stream: a function of a key (seed, connection,
 * direction) and the absolute position alone, so that neither end stores
 * anything. The function of an aligned 8-byte word is a bijection and can be
 * undone: from eight received bytes follows the one position in the stream
 * they belong to, however far away.
 */
#ifndef BENCH_CONTENT_H
#define BENCH_CONTENT_H

#include <stddef.h>
#include <stdint.h>

/* Random numbers; state is any number at first. From 0 to n - 1. */
uint64_t random_below(uint64_t *state, uint64_t n);
/* From 1 to max, every order of magnitude equally often. */
size_t random_size(uint64_t *state, size_t max);

/* The key of one direction of one connection. */
uint64_t content_key(uint64_t seed, unsigned connection, unsigned direction);

/* Writes the n bytes that begin at pos. */
void content_fill(uint64_t key, uint64_t pos, void *buf, size_t n);
/* How many of the n bytes are right from the start on. */
size_t content_check(uint64_t key, uint64_t pos, const void *buf, size_t n);
uint8_t content_byte(uint64_t key, uint64_t pos);

/* Where the eight bytes at p belong if they are an aligned word of this
 * stream. Nonsense in, a nonsensically large position out. */
uint64_t content_locate(uint64_t key, const void *p);

#endif
