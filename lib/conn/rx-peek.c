/* SPDX-License-Identifier: MIT */
/*
 * What there is to read, and stays where it is: a peek, what poll may promise,
 * and how many bytes FIONREAD counts. To these, too, the stream is one.
 */
#include <errno.h>

#include "rx.h"

/*
 * Is there something behind the next n bytes, that came by TCP? The sender has
 * gone into the ring at the position we have acknowledged if its prod lies
 * behind it, which it never was before; or has left the ring again.
 */
static bool ring_follows(const struct conn_t *c, uint64_t n)
{
	const struct conn_rx *rx = &c->rx;

	return rx->path == XVMC_PATH_TCP && rx->attached && !rx->gone &&
	       rx->expect != XVMC_POS_NONE && rx->expect - rx->rcvd == n &&
	       (ring_see_prod(rx->r.s) > rx->expect ||
		ring_see_left(rx->r.s) > rx->expect_epoch) &&
	       ring_nonce_matches(rx->r.s, rx->nonce);
}

/* A peek that is to see beyond a record: the n bytes before it, which it has
 * seen, are taken off TCP, and stay the next of the stream. */
static bool to_front(struct conn_t *c, size_t n)
{
	struct xvmc_bytes *front = &c->rx.front;
	struct iovec vec = { .iov_base = xvmc_bytes_room(front, n), .iov_len = n };
	struct xvmc_iov it = xvmc_iov_make(&vec, 1);
	ssize_t r = vec.iov_base ? rx_read_stream(c, &it, false) : 0;

	if (r > 0)
		front->len += (size_t)r;
	return r == (ssize_t)n;
}

void xvmc_conn_rx_bring(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;
	ssize_t n = c->tcp->queued(c->tcp_arg);
	uint64_t there = rx->in.len + (n > 0 ? (uint64_t)n : 0);

	if (rx->path != XVMC_PATH_TCP || rx->expect == XVMC_POS_NONE || rx->skip || rx->err)
		return;
	if (there > rx->expect - rx->rcvd)
		there = rx->expect - rx->rcvd;
	if (there)
		to_front(c, (size_t)there);
	xvmc_conn_rx_pump(c);
}

/* The sender has left the ring: what was there is in TCP as well, and more. But
 * not less is seen than there was, though it may still be on its way. */
static ssize_t peek_again(struct conn_t *c, struct xvmc_iov from, struct xvmc_iov *it,
			  ssize_t seen)
{
	ssize_t r = rx_read_stream(c, &from, true);

	if (seen > 0 && r <= seen) {
		rx_keep_for_next(c, r);
		return seen;
	}
	*it = from;
	return r;
}

ssize_t rx_peek_all(struct conn_t *c, struct xvmc_iov *it)
{
	ssize_t sum = rx_read_front(c, it, true), r = -EAGAIN;
	bool on = it->left != 0;

	while (on) {
		struct xvmc_iov from = *it;

		r = rx_read_stream(c, it, true);
		if ((r > 0 || r == -EAGAIN) && it->left && rx_follow(c))
			r = peek_again(c, from, it, r);
		if (r > 0)
			sum += r;
		on = r > 0 && it->left && ring_follows(c, (uint64_t)r) &&
		     to_front(c, (size_t)r);
	}
	if (sum)
		rx_keep_for_next(c, r);
	return sum ? sum : r;
}

/* ---- for poll, and how many ---- */

/* Lays the next byte of the ring by. False: the mapping is gone. */
static bool hold(struct conn_rx *rx)
{
	if (rx->held_pos == rx->rcvd)
		return true;
	rx->held = rx->r.data[rx->r.cons & (rx->r.size - 1)];
	if (!ring_nonce_matches(rx->r.s, rx->r.nonce)) /* B4 */
		return false;
	rx->held_pos = rx->rcvd;
	return true;
}

static ssize_t ready(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;
	ssize_t n;

	if (rx->path == XVMC_PATH_RING) {
		if (rx->attached && !rx->gone) {
			n = xvmc_recver_avail(&rx->r, 1);
			if (n > 0 && !hold(rx))
				n = -ESTALE;
			if (n == -ESTALE || n == -EPROTO)
				rx_gone(c, n == -ESTALE ? XVMC_R_BAD_NONCE :
							  XVMC_R_BAD_INDEX);
			else if (n > 0)
				return n;
		}
		if (rx->held_pos == rx->rcvd)
			return 1;
		if (!rx->err && rx->eof && rx_sender_died(c) < 0)
			return -ECONNRESET;
		return rx->err;
	}
	if (rx_discard(c) == 0 && rx->path == XVMC_PATH_TCP && rx->in.len &&
	    rx->expect != rx->rcvd) {
		if (rx->in.len < rx->expect - rx->rcvd)
			return (ssize_t)rx->in.len;
		return (ssize_t)(rx->expect - rx->rcvd);
	}
	return rx->held_pos == rx->rcvd ? 1 : rx->err;
}

ssize_t xvmc_conn_rx_ready(struct conn_t *c)
{
	ssize_t n = ready(c);

	if (!c->rx.front.len)
		return n;
	return (ssize_t)c->rx.front.len + (n > 0 ? n : 0);
}

ssize_t xvmc_conn_rx_in_ring(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;

	if (rx->path == XVMC_PATH_RING && rx->attached && !rx->gone)
		xvmc_recver_avail(&rx->r, rx->r.size); /* an error stays to be seen */
	return ready(c);
}

/* Two records, RING and TCP, at the position where one is due. */
#define BOTH_RECORDS (2 * sizeof(struct xvmc_record))

size_t xvmc_conn_rx_count(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;
	uint64_t due, there;
	ssize_t n;

	xvmc_conn_rx_follow(c);
	n = xvmc_conn_rx_in_ring(c);
	if (rx->path == XVMC_PATH_RING || rx->skip)
		return rx->front.len + (n > 0 ? (size_t)n : 0);
	due = rx->expect - rx->rcvd;
	n = c->tcp->queued(c->tcp_arg);
	there = rx->in.len + (n > 0 ? (uint64_t)n : 0);
	if (there >= due && ring_follows(c, due)) {
		/* In the ring, or again in TCP if it was left, with all that
		 * came after it. */
		if (ring_see_left(rx->r.s) <= rx->expect_epoch)
			there = ring_see_prod(rx->r.s) - rx->rcvd;
		else
			there = there > due + BOTH_RECORDS ? there - BOTH_RECORDS : due;
		if (there - due > rx->r.size)
			there = due;
	} else if (there > due) {
		there = due;
	}
	if (!there && rx->held_pos == rx->rcvd)
		there = 1;
	return rx->front.len + (size_t)there;
}
