/* SPDX-License-Identifier: MIT */
/*
 * A cursor over a caller's iovec array: the scatter/gather side of every
 * copy. Never changes the caller's array.
 */
#ifndef XVMC_IOV_H
#define XVMC_IOV_H

#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

struct xvmc_iov {
	const struct iovec *vec;
	size_t cnt;
	size_t off;  /* into vec[0] */
	size_t left; /* bytes in all */
};

/* How many bytes a vector is of; often it has one piece. */
static inline size_t xvmc_iov_bytes(const struct iovec *vec, size_t cnt)
{
	size_t sum = cnt ? vec[0].iov_len : 0;

	for (size_t i = 1; i < cnt; i++)
		sum += vec[i].iov_len;
	return sum;
}

static inline struct xvmc_iov xvmc_iov_make(const struct iovec *vec, size_t cnt)
{
	return (struct xvmc_iov){ .vec = vec, .cnt = cnt, .left = xvmc_iov_bytes(vec, cnt) };
}

/* The next contiguous piece, at most max bytes; 0 at the end. */
static inline size_t xvmc_iov_piece(struct xvmc_iov *it, size_t max, uint8_t **ret_p)
{
	while (it->cnt && it->off == it->vec->iov_len) {
		it->vec++;
		it->cnt--;
		it->off = 0;
	}
	if (!it->cnt || !max)
		return 0;
	*ret_p = (uint8_t *)it->vec->iov_base + it->off;
	return it->vec->iov_len - it->off < max ? it->vec->iov_len - it->off : max;
}

static inline void xvmc_iov_advance(struct xvmc_iov *it, size_t n)
{
	it->left -= n;
	while (n) {
		size_t here = it->vec->iov_len - it->off;

		if (n < here) {
			it->off += n;
			return;
		}
		n -= here;
		it->vec++;
		it->cnt--;
		it->off = 0;
	}
}

/* As a rule one piece holds all n, which are not none: the cursor goes over them, and
 * into the next piece when that is asked for. NULL: it does not. */
static inline uint8_t *xvmc_iov_take(struct xvmc_iov *it, size_t n)
{
	uint8_t *p;

	if (!it->cnt || it->vec->iov_len - it->off < n)
		return NULL;
	p = (uint8_t *)it->vec->iov_base + it->off;
	it->off += n;
	it->left -= n;
	return p;
}

/* Copies n bytes (no more than are left) from src into the iovec, and back. */
static inline void xvmc_iov_put(struct xvmc_iov *it, const uint8_t *src, size_t n)
{
	uint8_t *p = n ? xvmc_iov_take(it, n) : NULL;

	if (p) {
		memcpy(p, src, n);
		return;
	}
	while (n) {
		size_t k = xvmc_iov_piece(it, n, &p);

		if (!k)
			return;
		memcpy(p, src, k);
		xvmc_iov_advance(it, k);
		src += k;
		n -= k;
	}
}

static inline void xvmc_iov_get(struct xvmc_iov *it, uint8_t *dst, size_t n)
{
	uint8_t *p = n ? xvmc_iov_take(it, n) : NULL;

	if (p) {
		memcpy(dst, p, n);
		return;
	}
	while (n) {
		size_t k = xvmc_iov_piece(it, n, &p);

		if (!k)
			return;
		memcpy(dst, p, k);
		xvmc_iov_advance(it, k);
		dst += k;
		n -= k;
	}
}

static inline void xvmc_iov_clear(struct xvmc_iov *it, size_t n)
{
	uint8_t *p;

	while (n) {
		size_t k = xvmc_iov_piece(it, n, &p);

		if (!k)
			return;
		memset(p, 0, k);
		xvmc_iov_advance(it, k);
		n -= k;
	}
}

/*
 * Builds an iovec array of at most n entries and max bytes from the cursor's
 * place on. Returns the number of entries.
 */
static inline size_t xvmc_iov_slice(const struct xvmc_iov *it, size_t max,
				    struct iovec *out, size_t n)
{
	struct xvmc_iov cur = *it;
	size_t k = 0;
	uint8_t *p;

	while (k < n && max) {
		size_t len = xvmc_iov_piece(&cur, max, &p);

		if (!len)
			break;
		out[k].iov_base = p;
		out[k].iov_len = len;
		k++;
		max -= len;
		xvmc_iov_advance(&cur, len);
	}
	return k;
}

#endif
