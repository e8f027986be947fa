/* SPDX-License-Identifier: MIT */
/*
 * Checking and, when a byte is wrong, hunting for where the stream goes on:
 * bytes are kept until eight of them are found to be an aligned word of
 * this stream at some plausible position. From there back, the first byte
 * that fits tells what lies between.
 */
#include "checker.h"

#include <stdlib.h>
#include <string.h>

#include "content.h"
#include "util.h"

/* Farther away than this a word found is taken for chance. */
#define PLAUSIBLE ((uint64_t)1 << 40)
#define SHOWN 6

void checker_init(struct checker *c, struct checker_keys keys, unsigned own)
{
	memset(c, 0, sizeof(*c));
	c->keys = keys;
	c->own = own;
	c->key = keys.key[own];
}

void checker_deinit(struct checker *c)
{
	free(c->hunt);
	c->hunt = NULL;
}

/* A line for the first few events; the counts tell the rest. */
static void tell(struct checker *c, const char *what, uint64_t pos, uint64_t n)
{
	if (c->counts.events++ < SHOWN)
		complain("at %.3f ms: connection %u %s, position %llu: %s (%llu bytes)",
			 (double)now_ns() / 1e6, c->own / 2, c->own % 2 ? "to client" : "to server",
			 (unsigned long long)pos, what, (unsigned long long)n);
}

static void missing_remove(struct checker *c, unsigned i)
{
	c->n_missing--;
	memmove(&c->missing[i], &c->missing[i + 1], (c->n_missing - i) * sizeof(c->missing[0]));
}

static void missing_add(struct checker *c, uint64_t from, uint64_t to)
{
	if (from >= to)
		return;
	if (c->n_missing == CHECKER_RANGES) {
		c->forgotten += c->missing[0].to - c->missing[0].from;
		missing_remove(c, 0);
	}
	c->missing[c->n_missing++] = (struct checker_range){ from, to };
}

/* Takes [from, to) out of missing[]: how many bytes of it were there. */
static uint64_t missing_found(struct checker *c, uint64_t from, uint64_t to)
{
	uint64_t found = 0;

	for (unsigned i = 0; i < c->n_missing;) {
		struct checker_range gap = c->missing[i];
		uint64_t low = from > gap.from ? from : gap.from;
		uint64_t high = to < gap.to ? to : gap.to;

		if (low >= high) {
			i++;
			continue;
		}
		found += high - low;
		missing_remove(c, i);
		/* What is left of the gap goes to the end of the list,
		 * where it is looked at again and found untouched. */
		missing_add(c, gap.from, low);
		missing_add(c, high, gap.to);
	}
	return found;
}

/* n right bytes at the cursor. */
static void account(struct checker *c, uint64_t n)
{
	uint64_t from = c->cursor;
	uint64_t to = from + n;

	c->cursor = to;
	if (from < c->high) {
		uint64_t old_to = to < c->high ? to : c->high;
		uint64_t late = missing_found(c, from, old_to);

		c->counts.reordered += late;
		c->counts.verified += late;
		c->counts.duplicated += old_to - from - late;
		from = old_to;
	}
	c->counts.verified += to - from;
	if (to > c->high)
		c->high = to;
}

/* n bytes at the cursor were altered on their way: hunt[0..n). */
static void account_in_place(struct checker *c, size_t n)
{
	bool fresh = c->cursor == c->high;
	uint64_t wrong = 0;

	for (size_t i = 0; i < n; i++)
		wrong += c->hunt[i] != content_byte(c->key, c->cursor + i);
	account(c, n);
	c->counts.corrupted += wrong;
	/* account() has taken them for right ones; or for doubled ones, if
	 * this is a place seen before. */
	if (fresh)
		c->counts.verified -= wrong;
	if (c->crossed)
		c->counts.crossed += wrong;
}

/* The bytes hunt[0..skip) fit nowhere; the one after them is at pos. */
static void resolve(struct checker *c, size_t skip, uint64_t pos)
{
	if (pos == c->cursor + skip) {
		tell(c, c->crossed ? "bytes of another stream" : "bytes altered", c->cursor, skip);
		account_in_place(c, skip);
		return;
	}
	if (skip) {
		tell(c, c->crossed ? "bytes of another stream put in" : "foreign bytes put in",
		     c->cursor, skip);
		c->counts.corrupted += skip;
		if (c->crossed)
			c->counts.crossed += skip;
	}
	if (pos > c->cursor)
		tell(c, "stream goes on farther ahead", c->cursor, pos - c->cursor);
	else if (pos < c->cursor)
		tell(c, "stream goes on farther back", c->cursor, c->cursor - pos);
	if (pos > c->high) {
		missing_add(c, c->high, pos);
		c->high = pos;
	}
	c->cursor = pos;
}

static bool plausible(uint64_t pos, uint64_t near)
{
	return pos < near + PLAUSIBLE && pos + PLAUSIBLE > near && pos != UINT64_MAX;
}

static bool of_another(const struct checker *c, const uint8_t *p)
{
	for (unsigned i = 0; i < c->keys.count; i++)
		if (i != c->own && content_locate(c->keys.key[i], p) < PLAUSIBLE)
			return true;
	return false;
}

/* The last n bytes of the hunt are fed again, as they follow the cursor. */
static void hunt_again(struct checker *c, size_t skip)
{
	size_t left = c->hunt_len - skip;
	size_t right;

	right = content_check(c->key, c->cursor, c->hunt + skip, left);
	account(c, right);
	c->hunt_len = left - right;
	memmove(c->hunt, c->hunt + skip + right, c->hunt_len);
	c->scanned = 0;
	c->crossed = false;
	c->hunting = c->hunt_len > 0;
}

/* Looks for a word of the stream. true: found, and the hunt goes on or is
 * over; false: more bytes are needed. */
static bool hunt(struct checker *c)
{
	for (; c->scanned + 8 <= c->hunt_len; c->scanned++) {
		size_t i = c->scanned;
		uint64_t pos = content_locate(c->key, c->hunt + i);

		if (!plausible(pos, c->cursor + i)) {
			c->crossed = c->crossed || of_another(c, c->hunt + i);
			continue;
		}
		while (i > 0 && pos > 0 && c->hunt[i - 1] == content_byte(c->key, pos - 1)) {
			i--;
			pos--;
		}
		resolve(c, i, pos);
		hunt_again(c, i);
		return true;
	}
	return false;
}

/* The hunt has seen nothing of the stream for long: taken as altered. */
static void give_up(struct checker *c, size_t keep)
{
	size_t n = c->hunt_len - keep;

	tell(c, c->crossed ? "bytes of another stream" : "bytes altered", c->cursor, n);
	account_in_place(c, n);
	memmove(c->hunt, c->hunt + n, keep);
	c->hunt_len = keep;
	c->scanned = 0;
}

static void hunt_feed(struct checker *c, const uint8_t *buf, size_t n)
{
	if (!c->hunt)
		c->hunt = must_alloc(CHECKER_HUNT);
	memcpy(c->hunt + c->hunt_len, buf, n);
	c->hunt_len += n;
	while (c->hunting && hunt(c))
		;
	if (c->hunt_len == CHECKER_HUNT)
		give_up(c, 15);
}

void checker_feed(struct checker *c, const void *buf, size_t n)
{
	const uint8_t *p = buf;

	c->counts.received += n;
	while (n) {
		size_t part;

		if (!c->hunting) {
			part = content_check(c->key, c->cursor, p, n);
			account(c, part);
			c->hunting = part < n;
		} else {
			part = CHECKER_HUNT - c->hunt_len;
			part = part < n ? part : n;
			hunt_feed(c, p, part);
		}
		p += part;
		n -= part;
	}
}

void checker_finish(struct checker *c, uint64_t total)
{
	if (c->hunting && c->hunt_len)
		give_up(c, 0);
	c->hunting = false;
	if (c->high < total) {
		tell(c, "stream ends too early", c->high, total - c->high);
		c->counts.truncated = total - c->high;
		missing_add(c, c->high, total);
	} else if (c->high > total) {
		tell(c, "stream goes on after its end", total, c->high - total);
		c->counts.corrupted += c->high - total;
		c->counts.verified -= c->high - total;
	}
	c->counts.lost = c->forgotten;
	for (unsigned i = 0; i < c->n_missing; i++)
		c->counts.lost += c->missing[i].to - c->missing[i].from;
}

bool checker_right(const struct checker_counts *counts)
{
	return !counts->lost && !counts->duplicated && !counts->reordered && !counts->corrupted;
}

void checker_add(struct checker_counts *into, const struct checker_counts *from)
{
	into->received += from->received;
	into->verified += from->verified;
	into->lost += from->lost;
	into->duplicated += from->duplicated;
	into->reordered += from->reordered;
	into->corrupted += from->corrupted;
	into->crossed += from->crossed;
	into->truncated += from->truncated;
	into->events += from->events;
}
