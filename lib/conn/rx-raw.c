/* SPDX-License-Identifier: MIT */
/*
 * The receiving side's TCP stream as it comes: application bytes, records and
 * replays; what was taken off early lies in rx.in, before the kernel's. And
 * what ends it.
 */
#include <errno.h>

#include "rx.h"

/* Takes bytes off the kernel's socket; counts down what the eager reader
 * still has to fetch. */
ssize_t rx_take(struct conn_t *c, const struct iovec *vec, size_t cnt, bool peek)
{
	struct conn_rx *rx = &c->rx;
	ssize_t r = c->tcp->recv(c->tcp_arg, vec, cnt, peek);

	/* The kernel tells an error once and calls it the end from then on:
	 * not where a record of ours was told it in the reader's place. */
	if (r == 0)
		r = xvmc_conn_tell(c, 0);
	if (r > 0 && !peek)
		rx->pull -= rx->pull < (uint64_t)r ? rx->pull : (uint64_t)r;
	return r;
}

/* The kernel tells an error once: the reader shall hear it, when it comes. */
void rx_error(struct conn_t *c, int err)
{
	c->rx.err = err;
	xvmc_conn_keep_error(c, err);
	xvmc_conn_want(c, XVMC_EV_RX_CHANGED | XVMC_EV_CLOSED);
}

/*
 * The raw stream: bytes taken early, then the kernel's. A piece that is not
 * yet whole is taken off the kernel, so that the end of the stream behind it
 * shows. Returns how many of n are there, or if none 0 (end) or -errno;
 * *ret_end: the stream ends within the n.
 */
ssize_t rx_peek(struct conn_t *c, void *buf, size_t n, bool *ret_end)
{
	struct conn_rx *rx = &c->rx;
	ssize_t r = 1;

	*ret_end = false;
	if (!rx->in.len) {
		struct iovec vec = { .iov_base = buf, .iov_len = n };

		r = rx_take(c, &vec, 1, true);
		if (r < 0 && r != -EAGAIN)
			rx_error(c, (int)r);
		if (r == (ssize_t)n || r <= 0) {
			*ret_end = r == 0;
			return r;
		}
	}
	while (rx->in.len < n) {
		size_t want_n = n - rx->in.len;
		struct iovec vec = { .iov_base = xvmc_bytes_room(&rx->in, want_n),
				     .iov_len = want_n };

		if (!vec.iov_base) /* no error of the application's: later */
			return -EAGAIN;
		r = rx_take(c, &vec, 1, false);
		if (r <= 0)
			break;
		rx->in.len += (size_t)r;
	}
	*ret_end = r == 0;
	if (r < 0 && r != -EAGAIN)
		rx_error(c, (int)r);
	if (!rx->in.len) {
		xvmc_bytes_free(&rx->in);
		return r;
	}
	n = rx->in.len < n ? rx->in.len : n;
	memcpy(buf, rx->in.buf + rx->in.off, n);
	return (ssize_t)n;
}

void rx_drop(struct conn_t *c, size_t n)
{
	struct conn_rx *rx = &c->rx;
	uint8_t sink[4096];

	rx->extra += n;
	while (n) {
		struct iovec vec = { .iov_base = sink };
		ssize_t r;

		if (rx->in.len) {
			size_t early = rx->in.len < n ? rx->in.len : n;

			xvmc_bytes_drop(&rx->in, early);
			n -= early;
			continue;
		}
		vec.iov_len = n < sizeof(sink) ? n : sizeof(sink);
		r = rx_take(c, &vec, 1, false);
		if (r <= 0) /* they were peeked at: cannot be */
			break;
		n -= (size_t)r;
	}
}

void rx_reset(struct conn_t *c, enum xvmc_reason why)
{
	struct conn_rx *rx = &c->rx;

	rx->err = -ECONNRESET;
	rx->cut = true;
	xvmc_conn_keep_error(c, -ECONNRESET);
	rx->reason = (uint8_t)why;
	rx->expect = XVMC_POS_NONE;
	rx->skip = rx->pull = 0;
	xvmc_stat_add(c->stats, XVMC_S_RESETS, 1);
	xvmc_stat_add(c->stats, XVMC_S_REASON0 + why, 1);
	xvmc_conn_want(c, XVMC_EV_RX_CHANGED);
}

void rx_gone(struct conn_t *c, enum xvmc_reason why)
{
	struct conn_rx *rx = &c->rx;

	if (rx->gone)
		return;
	rx->gone = true;
	rx->reason = (uint8_t)why;
	if (why == XVMC_R_BAD_NONCE)
		xvmc_stat_add(c->stats, XVMC_S_NONCE_MISMATCHES, 1);
	xvmc_conn_want(c, XVMC_EV_GONE);
}
