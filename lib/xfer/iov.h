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

/* Goes over the next contiguous piece, of at most max bytes; 0: the end. The cursor
 * steps into the piece behind it when that is asked for. */
static inline size_t xvmc_iov_take(struct xvmc_iov *it, size_t max, uint8_t **ret_p)
{
	size_t n;

	while (it->cnt && it->off == it->vec->iov_len) {
		it->vec++;
		it->cnt--;
		it->off = 0;
	}
	if (!it->cnt)
		return 0;
	n = it->vec->iov_len - it->off;
	if (n > max)
		n = max;
	*ret_p = (uint8_t *)it->vec->iov_base + it->off;
	it->off += n;
	it->left -= n;
	return n;
}

static inline void xvmc_iov_advance(struct xvmc_iov *it, size_t n)
{
	uint8_t *p;
	size_t k;

	for (; n && (k = xvmc_iov_take(it, n, &p)); n -= k)
		;
}

/* Copies n bytes (no more than are left) from src into the iovec, and back. */
static inline void xvmc_iov_put(struct xvmc_iov *it, const uint8_t *src, size_t n)
{
	uint8_t *p;
	size_t k;

	for (; n && (k = xvmc_iov_take(it, n, &p)); n -= k, src += k)
		memcpy(p, src, k);
}

static inline void xvmc_iov_get(struct xvmc_iov *it, uint8_t *dst, size_t n)
{
	uint8_t *p;
	size_t k;

	for (; n && (k = xvmc_iov_take(it, n, &p)); n -= k, dst += k)
		memcpy(dst, p, k);
}

static inline void xvmc_iov_clear(struct xvmc_iov *it, size_t n)
{
	uint8_t *p;
	size_t k;

	for (; n && (k = xvmc_iov_take(it, n, &p)); n -= k)
		memset(p, 0, k);
}

/*
 * Builds an iovec array of at most n entries and max bytes from the cursor's
 * place on. Returns the number of entries.
 */
static inline size_t xvmc_iov_slice(const struct xvmc_iov *it, size_t max,
				    struct iovec *out, size_t n)
{
	struct xvmc_iov cur = *it;
	size_t k = 0, len;
	uint8_t *p;

	for (; k < n && max && (len = xvmc_iov_take(&cur, max, &p)); max -= len)
		out[k++] = (struct iovec){ .iov_base = p, .iov_len = len };
	return k;
}

#endif
