/* SPDX-License-Identifier: MIT */
/*
 * What the application reads, by whichever way is current and by the ones that
 * follow: to it the stream is one, wherever it goes from one way to the other.
 * What it looks at without taking it: rx-peek.c. [S 5]
 */
#include <errno.h>

#include "rx.h"

#define RECV_VECS 64

/*
 * A write has met the end of TCP, of both its halves: what the ring has comes,
 * and then nothing. The error is the writer's to be told, or has been. Read
 * without the writer's lock, as if the write had come a little later.
 */
static bool tcp_failed(const struct conn_t *c)
{
	int err = c->tx.err;

	return err && err != -EPIPE;
}

/*
 * End of stream without a record: the sender has died. But where? If its
 * guest had moved before, our mapping shows what was published until then,
 * and nobody knows what was published after: never a silent truncation. The
 * hypervisor clears the owner's byte in these very pages if it died here.
 */
int rx_sender_died(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;
	uint8_t owner;

	if (!rx->attached || rx->gone)
		return -1;
	owner = ring_owner(rx->r.r);
	if (!ring_nonce_matches(rx->r.s, rx->r.nonce))
		return -1;
	/* In a copy of ours no word will come any more, and the nonce is no proof. */
	if (owner == XVMC_OWNER_ALIVE || (rx->kept && owner != XVMC_OWNER_DIED))
		return tcp_failed(c) ? 1 : rx->no_proof || rx->kept ? -1 : 0;
	return 1; /* or UNTOLD: there is no better proof than the nonce */
}

static ssize_t read_ring(struct conn_t *c, struct xvmc_iov *it, bool peek)
{
	struct conn_rx *rx = &c->rx;
	bool ring = false;
	ssize_t r = -EAGAIN;

	if (rx->attached && !rx->gone) {
		r = xvmc_recver_read(&rx->r, it, it->left, peek, &ring);
		if (r == -ESTALE)
			rx_gone(c, XVMC_R_BAD_NONCE);
		if (r == -EPROTO)
			rx_gone(c, XVMC_R_BAD_INDEX);
		if (r > 0 && !peek) {
			atomic_store_explicit(&rx->rcvd, rx->r.cons,
					      memory_order_relaxed);
			rx->ring_bytes += (uint64_t)r;
			xvmc_stat_add(c->stats, XVMC_S_RING_RX_BYTES, (uint64_t)r);
		}
		if (ring) {
			xvmc_hv_notify(c->hv, &rx->chan);
			xvmc_stat_add(c->stats, XVMC_S_DOORBELLS, 1);
		}
		if (r > 0)
			return r;
	}
	if (rx->err)
		return rx->err;
	if (!rx->eof)
		return -EAGAIN;
	switch (rx_sender_died(c)) {
	case 1:
		/* What it published before shows now, if it did not then. */
		if (xvmc_recver_avail(&rx->r, 1) > 0)
			return read_ring(c, it, peek);
		return xvmc_conn_rx_ended(c) ? rx->err : 0;
	case 0:
		return -EAGAIN;
	default:
		rx_reset(c, XVMC_R_PEER_DIED);
		return -ECONNRESET;
	}
}

/* What the kernel has, after n bytes that were taken early. */
static ssize_t read_kernel(struct conn_t *c, struct xvmc_iov *it, size_t max, bool peek,
			   size_t n)
{
	struct conn_rx *rx = &c->rx;
	struct iovec vec[RECV_VECS];
	size_t cnt = xvmc_iov_slice(it, max, vec, RECV_VECS);
	ssize_t r = rx_take(c, vec, cnt, peek);

	if (r > 0)
		xvmc_iov_advance(it, (size_t)r);
	if (n) { /* the end comes again by itself, an error does not */
		if (r < 0 && r != -EAGAIN)
			rx_error(c, (int)r);
		return r > 0 ? r : 0;
	}
	if (r == 0 && rx->pull)
		return rx_cut_replay(c) < 0 ? -ECONNRESET : -EAGAIN;
	if (r == 0)
		rx->eof = true;
	return r;
}

/* The sender is in its ring already, whose reader still has TCP to read: it
 * shall see that there is one, and that it comes. */
static void on_the_way(struct conn_rx *rx)
{
	if (rx->expect != XVMC_POS_NONE && rx->attached && !rx->gone)
		ring_release(rx->r.r, rx->rcvd);
}

static ssize_t read_tcp(struct conn_t *c, struct xvmc_iov *it, bool peek)
{
	struct conn_rx *rx = &c->rx;
	size_t max = it->left, n;
	ssize_t r;

	if (max > rx->expect - rx->rcvd)
		max = rx->expect - rx->rcvd;
	n = rx->in.len < max ? rx->in.len : max;
	r = (ssize_t)n;
	if (n) {
		xvmc_iov_put(it, rx->in.buf + rx->in.off, n);
		if (!peek)
			xvmc_bytes_drop(&rx->in, n);
	} else if (rx->err) {
		return rx->err;
	}
	if (n < max && !rx->err)
		r += read_kernel(c, it, max - n, peek, n);
	if (r > 0 && !peek) {
		rx->rcvd += (uint64_t)r;
		on_the_way(rx);
		xvmc_stat_add(c->stats, XVMC_S_TCP_RX_BYTES, (uint64_t)r);
	}
	return r;
}

/* Nothing to read just now, though it was said that there is: the byte that
 * was laid by. Its copy in the replay is one more to discard. */
static ssize_t read_held(struct conn_t *c, struct xvmc_iov *it, bool peek)
{
	struct conn_rx *rx = &c->rx;

	if (rx->held_pos != rx->rcvd || !it->left)
		return -EAGAIN;
	xvmc_iov_put(it, &rx->held, 1);
	if (peek)
		return 1;
	rx->rcvd++;
	rx->ring_bytes++;
	if (rx->path == XVMC_PATH_TCP)
		rx->skip++;
	xvmc_stat_add(c->stats, XVMC_S_RING_RX_BYTES, 1);
	return 1;
}

ssize_t rx_read_stream(struct conn_t *c, struct xvmc_iov *it, bool peek)
{
	struct conn_rx *rx = &c->rx;
	int r;

	for (;;) {
		if (rx->path == XVMC_PATH_RING)
			return read_ring(c, it, peek);
		r = rx_discard(c);
		if (r < 0)
			return r;
		if (rx->path == XVMC_PATH_RING)
			continue;
		if (rx->expect != rx->rcvd) {
			ssize_t n = read_tcp(c, it, peek);

			if (n == -EAGAIN && rx->path == XVMC_PATH_RING)
				continue;
			return n;
		}
		r = rx_at_expected(c);
		if (r < 0)
			return r;
	}
}

/* ---- from one way to the next ---- */

/* Looks there. True: it pays to read again. */
static bool pumped(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;
	bool eof = rx->eof;
	int err = rx->err;

	xvmc_conn_rx_pump(c);
	return rx->path == XVMC_PATH_TCP || rx->eof != eof || rx->err != err;
}

bool xvmc_conn_rx_follow(struct conn_t *c)
{
	const struct conn_rx *rx = &c->rx;
	bool ends = rx->path == XVMC_PATH_RING && !rx->eof && tcp_failed(c);

	return (ends || xvmc_conn_rx_left(c)) && pumped(c);
}

/*
 * A ring that has no more. Once poll has shown the end (POLLHUP, POLLRDHUP), a
 * program takes a short read for the last one: then TCP is looked at, too,
 * where the sender did not say that it has left.
 */
bool rx_follow(struct conn_t *c)
{
	if (!c->rx.end_told)
		return xvmc_conn_rx_follow(c);
	return c->rx.path == XVMC_PATH_RING && pumped(c);
}

/* The kernel tells an error once: after some bytes it is for the next call. */
void rx_keep_for_next(struct conn_t *c, ssize_t r)
{
	if (r < 0 && r != -EAGAIN && r != c->rx.err)
		rx_error(c, (int)r);
}

ssize_t rx_read_front(struct conn_t *c, struct xvmc_iov *it, bool peek)
{
	struct xvmc_bytes *front = &c->rx.front;
	size_t n = front->len < it->left ? front->len : it->left;

	if (!n)
		return 0;
	xvmc_iov_put(it, front->buf + front->off, n);
	if (!peek)
		xvmc_bytes_drop(front, n);
	return (ssize_t)n;
}

static ssize_t read_all(struct conn_t *c, struct xvmc_iov *it)
{
	struct conn_rx *rx = &c->rx;
	ssize_t sum = rx_read_front(c, it, false), r = -EAGAIN;
	bool on = it->left != 0;

	while (on) {
		r = rx_read_stream(c, it, false);
		if (r > 0)
			sum += r;
		/* What lies behind is read at once: beyond the record that is
		 * due, or where the sender has gone to. */
		on = it->left && ((r > 0 && rx->expect == rx->rcvd) ||
				  ((r > 0 || r == -EAGAIN) && rx_follow(c)));
	}
	if (sum)
		rx_keep_for_next(c, r);
	return sum ? sum : r;
}

ssize_t xvmc_conn_read(struct conn_t *c, struct xvmc_iov *it, bool peek)
{
	ssize_t r = peek ? rx_peek_all(c, it) : read_all(c, it);

	if (r == -EAGAIN)
		return read_held(c, it, peek);
	if (r == 0 || r != c->rx.err)
		return r;
	/* Who asks first is told, reader or writer, and once; but where we have
	 * cut the stream, no reader is to take that for its end. */
	if (c->rx.cut) {
		c->rx.cut = false;
		xvmc_conn_tell(c, 0);
		return r;
	}
	return xvmc_conn_tell(c, 0);
}

size_t xvmc_conn_read_now(struct conn_t *c, void *buf, size_t n)
{
	struct conn_rx *rx = &c->rx;
	struct iovec vec = { buf, n };
	struct xvmc_iov it = { .vec = &vec, .cnt = 1, .left = n };
	ssize_t r;

	if (rx->path != XVMC_PATH_RING || !rx->attached || rx->gone || rx->end_told ||
	    xvmc_conn_rx_early(c) || xvmc_conn_rx_left(c) ||
	    xvmc_recver_avail(&rx->r, n) <= 0)
		return 0;
	r = read_ring(c, &it, false);
	return r > 0 ? (size_t)r : 0;
}

ssize_t xvmc_conn_rx_took(struct conn_t *c, const struct iovec *vec, size_t cnt,
			  size_t n)
{
	struct conn_rx *rx = &c->rx;
	struct xvmc_iov it = xvmc_iov_make(vec, cnt), rest;
	size_t keep = n, over;
	uint8_t *p;

	/* What is not the application's: records, and what follows them. */
	if (rx->path == XVMC_PATH_RING || rx->skip || rx->pull || rx->in.len)
		keep = 0;
	else if (rx->expect != XVMC_POS_NONE && n > rx->expect - rx->rcvd)
		keep = rx->expect - rx->rcvd;
	rx->rcvd += keep;
	on_the_way(rx);
	rx->pull -= rx->pull < n ? rx->pull : n;
	xvmc_stat_add(c->stats, XVMC_S_TCP_RX_BYTES, keep);
	over = n - keep;
	if (over) {
		p = xvmc_bytes_room(&rx->in, over);
		if (!p) {
			rx_reset(c, XVMC_R_NO_MEMORY);
		} else {
			xvmc_iov_advance(&it, keep);
			rest = it;
			xvmc_iov_get(&it, p, over);
			rx->in.len += over;
			/* Nothing was there before but, as a rule, zeros. */
			xvmc_iov_clear(&rest, over);
		}
	}
	xvmc_conn_rx_pump(c);
	return keep ? (ssize_t)keep : -EAGAIN;
}

int xvmc_conn_rx_settle(struct conn_t *c, const struct iovec *vec, size_t cnt,
			bool alone, size_t *ret_keep)
{
	struct conn_rx *rx = &c->rx;
	struct xvmc_iov it = xvmc_iov_make(vec, cnt);
	uint64_t sent, taken, arrived, counted;
	int r = c->tcp->counts(c->tcp_arg, &sent, &taken, &arrived);
	ssize_t keep;

	counted = rx->rcvd - rx->ring_bytes + rx->extra + rx->in.len;
	if (r == 0 && taken == counted)
		return 0;
	if (r < 0 || !alone || taken - counted > it.left)
		return -EAGAIN;
	keep = xvmc_conn_rx_took(c, vec, cnt, taken - counted);
	*ret_keep = keep < 0 ? 0 : (size_t)keep;
	return 1;
}

void xvmc_conn_rx_torn(struct conn_t *c, const struct iovec *vec, size_t cnt, bool alone)
{
	size_t keep;

	if (xvmc_conn_rx_settle(c, vec, cnt, alone, &keep) < 0 &&
	    c->rx.expect != XVMC_POS_NONE)
		rx_reset(c, XVMC_R_COUNT_MISMATCH);
}

/*
 * Who dies with bytes unread resets, says its kernel; of those in our ring it
 * knows nothing. What consumed them last shows in our own page, for we have not
 * moved since: that is proven with the death. The writer's lock is not held, so
 * it is as if the write had come a little earlier or later.
 */
__attribute__((no_sanitize("thread")))
static bool died_with_unread(const struct conn_t *c)
{
	const struct conn_tx *tx = &c->tx;

	return tx->unread || (tx->path == XVMC_PATH_RING && tx->attached &&
			      ring_see_cons(tx->s.r) < tx->sent);
}

bool xvmc_conn_rx_ended(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;
	int died = rx->path == XVMC_PATH_RING && rx->eof ? rx_sender_died(c) : 0;

	if (died > 0 && !rx->err && !c->told && !tcp_failed(c) && died_with_unread(c))
		rx_error(c, -ECONNRESET);
	return died != 0;
}
