/* SPDX-License-Identifier: MIT */
/*
 * A small byte queue: what was taken off the TCP socket before anybody asked
 * for it (the residual of a switch). Empty nearly always.
 */
#ifndef XVMC_BYTES_H
#define XVMC_BYTES_H

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct xvmc_bytes {
	uint8_t *buf;
	size_t off, len, cap; /* the bytes are buf[off .. off + len) */
};

static inline void xvmc_bytes_free(struct xvmc_bytes *b)
{
	free(b->buf);
	*b = (struct xvmc_bytes){ 0 };
}

/* Makes room for n more bytes at the end and returns the place, or NULL. */
static inline uint8_t *xvmc_bytes_room(struct xvmc_bytes *b, size_t n)
{
	if (b->off + b->len + n > b->cap) {
		size_t cap = b->cap ? b->cap : 4096;
		uint8_t *buf;

		while (cap < b->len + n)
			cap *= 2;
		buf = malloc(cap);
		if (!buf)
			return NULL;
		if (b->len)
			memcpy(buf, b->buf + b->off, b->len);
		free(b->buf);
		b->buf = buf;
		b->cap = cap;
		b->off = 0;
	}
	return b->buf + b->off + b->len;
}

static inline int xvmc_bytes_add(struct xvmc_bytes *b, const void *src, size_t n)
{
	uint8_t *p;

	if (!n)
		return 0;
	p = xvmc_bytes_room(b, n);
	if (!p)
		return -ENOMEM;
	memcpy(p, src, n);
	b->len += n;
	return 0;
}

static inline void xvmc_bytes_drop(struct xvmc_bytes *b, size_t n)
{
	b->off += n;
	b->len -= n;
	if (!b->len)
		xvmc_bytes_free(b);
}

#endif
