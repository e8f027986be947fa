/* SPDX-License-Identifier: MIT */
/*
 * The content function, its inverse, and the random sizes of a checked
 * stream. Filling and checking must cost less than copying does, or the
 * check would hide what it is to measure: one multiplication for a word.
 */
#include "content.h"

#include <endian.h>
#include <string.h>

#define STEP 0x9e3779b97f4a7c15u
#define MIX 0xd6e8feb86659fd93u
#define BLOCK 8 /* words */

/* Of an odd number, modulo 2^64. */
static uint64_t inverse(uint64_t odd)
{
	uint64_t x = odd; /* right in the lowest 3 bits; each step doubles them */

	for (int i = 0; i < 5; i++)
		x *= 2 - odd * x;
	return x;
}

/* A small random generator (splitmix64). */
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += STEP;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

uint64_t random_below(uint64_t *state, uint64_t n)
{
	return (uint64_t)(((unsigned __int128)random_next(state) * n) >> 64);
}

size_t random_size(uint64_t *state, size_t max)
{
	unsigned bits = 64 - (unsigned)__builtin_clzll((unsigned long long)max);
	unsigned shift = (unsigned)random_below(state, bits);
	size_t size = ((size_t)1 << shift) + random_below(state, (uint64_t)1 << shift);

	return size < max ? size : max;
}

uint64_t content_key(uint64_t seed, unsigned connection, unsigned direction)
{
	uint64_t state = seed;
	uint64_t a = random_next(&state);
	uint64_t b;

	state = a ^ (((uint64_t)connection << 1 | direction) + 1) * MIX;
	b = random_next(&state);
	return a ^ b;
}

static inline uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * MIX;
	return htole64(z ^ (z >> 27));
}

static inline uint64_t word(uint64_t key, uint64_t index)
{
	return mix(key + index * STEP);
}

uint64_t content_locate(uint64_t key, const void *p)
{
	uint64_t z;

	memcpy(&z, p, sizeof(z));
	z = le64toh(z);
	z ^= z >> 27 ^ z >> 54;
	z *= inverse(MIX);
	z ^= z >> 30 ^ z >> 60;
	z = (z - key) * inverse(STEP);
	return z < UINT64_MAX / 8 ? z * 8 : UINT64_MAX;
}

uint8_t content_byte(uint64_t key, uint64_t pos)
{
	uint64_t w = word(key, pos / 8);
	uint8_t bytes[8];

	memcpy(bytes, &w, sizeof(w));
	return bytes[pos % 8];
}

void content_fill(uint64_t key, uint64_t pos, void *buf, size_t n)
{
	uint8_t *p = buf;
	uint64_t z;

	for (; n && pos % 8; n--)
		*p++ = content_byte(key, pos++);
	z = key + pos / 8 * STEP;
	for (; n >= 8; n -= 8, pos += 8, p += 8, z += STEP) {
		uint64_t w = mix(z);

		memcpy(p, &w, sizeof(w));
	}
	for (; n; n--)
		*p++ = content_byte(key, pos++);
}

static size_t check_bytes(uint64_t key, uint64_t pos, const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] == content_byte(key, pos + i))
		i++;
	return i;
}

size_t content_check(uint64_t key, uint64_t pos, const void *buf, size_t n)
{
	const uint8_t *p = buf;
	size_t head = pos % 8 ? 8 - pos % 8 : 0;
	size_t i;
	uint64_t z;

	if (head > n)
		head = n;
	i = check_bytes(key, pos, p, head);
	if (i < head)
		return i;
	z = key + (pos + i) / 8 * STEP;
	for (; n - i >= 8 * BLOCK; i += 8 * BLOCK, z += BLOCK * STEP) {
		uint64_t wrong = 0;

		for (unsigned k = 0; k < BLOCK; k++) {
			uint64_t w;

			memcpy(&w, p + i + 8 * k, sizeof(w));
			wrong |= w ^ mix(z + k * STEP);
		}
		if (wrong)
			break;
	}
	return i + check_bytes(key, pos + i, p + i, n - i);
}
