/* SPDX-License-Identifier: MIT */
/*
 * The switch, receiving side: the receiver follows the records it finds in
 * the TCP stream. tests/model/switch.pml is this file and switch-tx.c,
 * checked by spin. docs/protocol.md, "The switch"; [S 5], [S 6].
 */
#include <errno.h>

#include "conn.h"

#define RECV_VECS 64
#define PULL_PIECE (64u * 1024u)

static void want(struct conn_t *c, uint32_t events)
{
	atomic_fetch_or(&c->events, events);
}

/* Takes bytes off the kernel's socket; counts down what the eager reader
 * still has to fetch. */
static ssize_t take_kernel(struct conn_t *c, const struct iovec *vec, size_t cnt,
			   bool peek)
{
	struct conn_rx *rx = &c->rx;
	ssize_t r = c->tcp->recv(c->tcp_arg, vec, cnt, peek);

	/* The kernel tells an error once and calls it the end from then on:
	 * not where a record of ours was told it in the reader's place. */
	if (r == 0)
		r = atomic_exchange(&c->untold, 0);
	if (r > 0 && !peek)
		rx->pull -= rx->pull < (uint64_t)r ? rx->pull : (uint64_t)r;
	return r;
}

/* The kernel tells an error once: the reader shall hear it, when it comes. */
static void rx_error(struct conn_t *c, int err)
{
	c->rx.err = err;
	c->untold = err;
	want(c, XVMC_EV_RX_CHANGED | XVMC_EV_CLOSED);
}

/*
 * The raw stream: bytes taken early, then the kernel's. A piece that is not
 * yet whole is taken off the kernel, so that the end of the stream behind it
 * shows. Returns how many of n are there, or if none 0 (end) or -errno;
 * *ret_end: the stream ends within the n.
 */
static ssize_t raw_peek(struct conn_t *c, void *buf, size_t n, bool *ret_end)
{
	struct conn_rx *rx = &c->rx;
	ssize_t r = 1;

	*ret_end = false;
	if (!rx->in.len) {
		struct iovec vec = { .iov_base = buf, .iov_len = n };

		r = take_kernel(c, &vec, 1, true);
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
		r = take_kernel(c, &vec, 1, false);
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

static void raw_drop(struct conn_t *c, size_t n)
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
		r = take_kernel(c, &vec, 1, false);
		if (r <= 0) /* they were peeked at: cannot be */
			break;
		n -= (size_t)r;
	}
}

static void rx_reset(struct conn_t *c, enum xvmc_reason why)
{
	struct conn_rx *rx = &c->rx;

	rx->err = -ECONNRESET;
	c->untold = -ECONNRESET;
	rx->reason = (uint8_t)why;
	rx->expect = XVMC_POS_NONE;
	rx->skip = rx->pull = 0;
	xvmc_stat_add(c->stats, XVMC_S_RESETS, 1);
	xvmc_stat_add(c->stats, XVMC_S_REASON0 + why, 1);
	want(c, XVMC_EV_RX_CHANGED);
}

static void rx_gone(struct conn_t *c, enum xvmc_reason why)
{
	struct conn_rx *rx = &c->rx;

	if (rx->gone)
		return;
	rx->gone = true;
	rx->reason = (uint8_t)why;
	if (why == XVMC_R_BAD_NONCE)
		xvmc_stat_add(c->stats, XVMC_S_NONCE_MISMATCHES, 1);
	want(c, XVMC_EV_GONE);
}

static void enter_ring(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;

	rx->path = XVMC_PATH_RING;
	rx->reason = XVMC_R_PROMOTED;
	rx->expect = XVMC_POS_NONE;
	rx->epoch = rx->expect_epoch;
	if (rx->attached && !rx->gone)
		xvmc_recver_start(&rx->r, rx->rcvd);
	want(c, XVMC_EV_RX_CHANGED);
}

/*
 * TCP has ended without the record we wait for: the sender has died. If its
 * ring still holds bytes we have not seen, they are the rest of the stream.
 */
static bool ring_holds_more(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;
	uint64_t prod;

	if (!rx->attached || rx->gone)
		return false;
	prod = ring_see_prod(rx->r.s);
	return ring_nonce_matches(rx->r.s, rx->r.nonce) && prod > rx->rcvd &&
	       prod - rx->rcvd <= rx->r.size;
}

static void drain_ring(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;

	xvmc_bytes_free(&rx->in);
	rx->skip = rx->pull = 0;
	enter_ring(c);
	rx->eof = true;
	want(c, XVMC_EV_CLOSED);
}

/*
 * At the expected position: is this the record, or the application's bytes?
 * Content decides, so that an acknowledgement the sender never saw cannot
 * hurt. 1: entered the ring; 0: application bytes; -EAGAIN: not all there.
 */
static int at_expected(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;
	struct xvmc_record rec;
	bool end;
	size_t cmp;
	ssize_t n;

	if (rx->err)
		return rx->err;
	n = raw_peek(c, &rec, sizeof(rec), &end);
	if (end && ring_holds_more(c)) {
		drain_ring(c);
		return 1;
	}
	if (n == 0) /* the end, which is the application's like its bytes */
		rx->expect = XVMC_POS_NONE;
	if (n <= 0)
		return (int)n;
	cmp = (size_t)n < XVMC_NONCE_LEN ? (size_t)n : XVMC_NONCE_LEN;
	if (memcmp(rec.nonce, rx->nonce, cmp) != 0) {
		rx->expect = XVMC_POS_NONE;
		return 0;
	}
	if ((size_t)n < sizeof(rec) && !end)
		return rx->err ? rx->err : -EAGAIN;
	if ((size_t)n < sizeof(rec)) {
		/* A record cut short: the sender died while it wrote it, and
		 * nothing goes into the ring before it is out. But so few may
		 * be application bytes that look like one: only the proof of
		 * where it died tells. */
		if (n < (ssize_t)XVMC_NONCE_LEN) {
			drain_ring(c);
			return 1;
		}
		xvmc_bytes_free(&rx->in);
		rx->expect = XVMC_POS_NONE;
		return 0;
	}
	if (!xvmc_record_check(&rec, rx->nonce) ||
	    rec.target != XVMC_PATH_RING || rec.pos != rx->rcvd ||
	    rec.epoch != rx->expect_epoch) {
		rx_reset(c, XVMC_R_BAD_RECORD);
		return -ECONNRESET;
	}
	raw_drop(c, sizeof(rec));
	enter_ring(c);
	return 1;
}

/* In ring mode the TCP stream holds nothing but the next record. */
static void read_record(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;
	struct xvmc_record rec;
	bool end;
	ssize_t n = raw_peek(c, &rec, sizeof(rec), &end);

	if (n < 0)
		return;
	if ((size_t)n < sizeof(rec)) {
		if (end) {
			/* No record, or half of one: the sender has died. */
			rx->eof = true;
			want(c, XVMC_EV_RX_CHANGED | XVMC_EV_CLOSED);
		}
		return;
	}
	/* No more than a ring's worth: that much memory is what we owe. */
	if (!xvmc_record_check(&rec, rx->nonce) ||
	    rec.target != XVMC_PATH_TCP || rec.epoch <= rx->epoch ||
	    rec.len > XVMC_PAGE_SIZE << XVMC_RING_ORDER_MAX ||
	    rec.pos > rx->rcvd || rx->rcvd - rec.pos > rec.len) {
		rx_reset(c, XVMC_R_BAD_RECORD);
		return;
	}
	raw_drop(c, sizeof(rec));
	rx->path = XVMC_PATH_TCP;
	rx->reason = rec.cause < XVMC_R_COUNT ? rec.cause : XVMC_R_NONE;
	rx->epoch = rec.epoch;
	rx->skip = rx->rcvd - rec.pos;
	rx->pull = rec.len > rx->in.len ? rec.len - rx->in.len : 0;
	rx->expect = XVMC_POS_NONE;
	want(c, XVMC_EV_RX_CHANGED |
			(rec.cause == XVMC_R_CLOSE ? XVMC_EV_CLOSED : 0) |
			(rec.flags & XVMC_REC_BOTH ? XVMC_EV_FOLLOW : 0));
}

/*
 * The end of the TCP stream inside a replay: the sender died while it wrote
 * it. 0: what is missing we had before; 1: what is missing may still be in
 * its ring; if not, it is provably gone.
 */
static int cut_replay(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;

	if (rx->pull <= rx->skip) {
		rx->skip = rx->pull = 0;
		return 0;
	}
	if (ring_holds_more(c)) {
		drain_ring(c);
		return 1;
	}
	rx_reset(c, XVMC_R_PEER_DIED);
	return -ECONNRESET;
}

/* Throws away replayed bytes we already have. 0: all of them (or the ring has
 * taken over); else as recv. */
static int discard(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;
	uint8_t sink[16384];

	while (rx->skip) {
		struct iovec vec = { .iov_base = sink };
		ssize_t r;

		if (rx->in.len) {
			r = (ssize_t)(rx->in.len < rx->skip ? rx->in.len : rx->skip);
			xvmc_bytes_drop(&rx->in, (size_t)r);
		} else {
			vec.iov_len = rx->skip < sizeof(sink) ? rx->skip : sizeof(sink);
			r = take_kernel(c, &vec, 1, false);
			if (r == 0)
				return cut_replay(c) < 0 ? -ECONNRESET : 0;
			if (r < 0 && r != -EAGAIN)
				rx_error(c, (int)r);
			if (r < 0)
				return (int)r;
		}
		rx->skip -= (uint64_t)r;
		rx->extra += (uint64_t)r;
	}
	return 0;
}

static void pull(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;

	if (discard(c) < 0 || rx->path == XVMC_PATH_RING)
		return;
	if (rx->hand_over) /* from here on they are the kernel's like any other */
		rx->pull = 0;
	while (rx->pull && !rx->err) {
		size_t n = rx->pull < PULL_PIECE ? rx->pull : PULL_PIECE;
		struct iovec vec = { .iov_base = xvmc_bytes_room(&rx->in, n),
				     .iov_len = n };
		ssize_t r;

		if (!vec.iov_base) /* the application will read it itself */
			return;
		r = take_kernel(c, &vec, 1, false);
		if (r == 0) {
			cut_replay(c);
			return;
		}
		if (r < 0 && r != -EAGAIN)
			rx_error(c, (int)r);
		if (r <= 0) {
			if (!rx->in.len)
				xvmc_bytes_free(&rx->in);
			return;
		}
		rx->in.len += (size_t)r;
		want(c, XVMC_EV_RX_CHANGED);
	}
}

void xvmc_conn_rx_stop(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;

	if (rx->attached && !rx->gone)
		ring_stop_reading(rx->r.r);
}

void xvmc_conn_rx_pump(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;
	enum xvmc_path before;

	do {
		before = rx->path;
		if (rx->err)
			return;
		if (rx->path == XVMC_PATH_RING) {
			if (!rx->eof)
				read_record(c);
		} else {
			pull(c);
			if (rx->expect == rx->rcvd && !rx->skip && !rx->err)
				at_expected(c);
		}
	} while (rx->path != before);
}

/*
 * End of stream without a record: the sender has died. But where? If its
 * guest had moved before, our mapping shows what was published until then,
 * and nobody knows what was published after: never a silent truncation. The
 * hypervisor clears the owner's byte in these very pages if it died here.
 * 1: it did; 0: the word may still come; -1: there is no proof.
 */
static int sender_died(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;
	uint8_t owner;

	if (!rx->attached || rx->gone)
		return -1;
	owner = ring_owner(rx->r.r);
	if (!ring_nonce_matches(rx->r.s, rx->r.nonce))
		return -1;
	if (owner == XVMC_OWNER_ALIVE)
		return rx->no_proof ? -1 : 0;
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
	switch (sender_died(c)) {
	case 1:
		/* What it published before shows now, if it did not then. */
		return xvmc_recver_avail(&rx->r, 1) > 0 ? read_ring(c, it, peek) : 0;
	case 0:
		return -EAGAIN;
	default:
		rx_reset(c, XVMC_R_PEER_DIED);
		return -ECONNRESET;
	}
}

static ssize_t read_tcp(struct conn_t *c, struct xvmc_iov *it, bool peek)
{
	struct conn_rx *rx = &c->rx;
	struct iovec vec[RECV_VECS];
	size_t max = it->left;
	ssize_t r;

	if (max > rx->expect - rx->rcvd)
		max = rx->expect - rx->rcvd;
	if (rx->in.len) {
		r = (ssize_t)(rx->in.len < max ? rx->in.len : max);
		xvmc_iov_put(it, rx->in.buf + rx->in.off, (size_t)r);
		if (!peek)
			xvmc_bytes_drop(&rx->in, (size_t)r);
	} else if (rx->err) {
		return rx->err;
	} else {
		size_t cnt = xvmc_iov_slice(it, max, vec, RECV_VECS);

		r = take_kernel(c, vec, cnt, peek);
		if (r == 0 && rx->pull)
			return cut_replay(c) < 0 ? -ECONNRESET : -EAGAIN;
		if (r == 0)
			rx->eof = true;
		if (r <= 0)
			return r;
		xvmc_iov_advance(it, (size_t)r);
	}
	if (!peek) {
		rx->rcvd += (uint64_t)r;
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

static ssize_t read_stream(struct conn_t *c, struct xvmc_iov *it, bool peek)
{
	struct conn_rx *rx = &c->rx;
	int r;

	for (;;) {
		if (rx->path == XVMC_PATH_RING)
			return read_ring(c, it, peek);
		r = discard(c);
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
		r = at_expected(c);
		if (r < 0)
			return r;
	}
}

ssize_t xvmc_conn_read(struct conn_t *c, struct xvmc_iov *it, bool peek)
{
	ssize_t r = read_stream(c, it, peek);

	if (r == -EAGAIN)
		return read_held(c, it, peek);
	/* Who asks first is told, reader or writer, and once. */
	if (r < 0 && r == c->rx.err)
		return atomic_exchange(&c->untold, 0);
	return r;
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

int xvmc_conn_rx_ack(struct conn_t *c, uint64_t sent, unsigned int sleepers)
{
	struct conn_rx *rx = &c->rx;
	struct ring_announcement ann;
	uint64_t ksent, ktaken, karrived, arrived;
	int r;

	/* Only in TCP mode with every earlier record read: without this rule
	 * the model loses bytes. */
	if (!rx->attached || rx->gone || rx->path != XVMC_PATH_TCP ||
	    rx->expect != XVMC_POS_NONE || rx->skip || rx->pull ||
	    rx->in.len || rx->err || rx->eof)
		return 0;
	if (!ring_see_announcement(rx->r.s, rx->r.r, &ann))
		return 0;
	if (!ring_nonce_matches(rx->r.s, rx->r.nonce)) {
		rx_gone(c, XVMC_R_BAD_NONCE);
		return 0;
	}
	if (sleepers > 1) {
		rx->reason = XVMC_R_MANY_WAITERS;
		return 0;
	}
	if (ann.pos < rx->rcvd || ann.rcvd > sent || ann.epoch <= rx->epoch)
		goto mismatch;
	r = c->tcp->counts(c->tcp_arg, &ksent, &ktaken, &karrived);
	if (r == -EAGAIN)
		return 0;
	if (r == 0) {
		/* A thread inside the kernel may have taken bytes it has not
		 * yet counted. */
		if (!sleepers && ktaken != rx->rcvd - rx->ring_bytes + rx->extra)
			goto mismatch;
		arrived = karrived + rx->ring_bytes - rx->extra;
		if (arrived > ann.pos)
			goto mismatch;
		if (c->strict && arrived < ann.pos)
			return 0;
	}
	rx->expect = ann.pos;
	rx->expect_epoch = ann.epoch;
	if (!ring_decide(rx->r.r, ann.epoch, XVMC_ANN_ACKED)) {
		rx->expect = XVMC_POS_NONE;
		return 0;
	}
	xvmc_hv_notify(c->hv, &rx->chan);
	return 1;
mismatch:
	/* Unless the sender gave up while we counted, and wrote on. And a guest
	 * that migrated while it asked leaves a page that asks for ever [X 4]:
	 * only who asks anew, and is wrong again, counts differently. */
	if (ring_ann_state(rx->r.r, ann.epoch) != XVMC_ANN_ANNOUNCED)
		return 0;
	if (!rx->odd_epoch)
		rx->odd_epoch = ann.epoch;
	if (rx->odd_epoch == ann.epoch)
		return 0;
	rx->reason = XVMC_R_COUNT_MISMATCH;
	return -EBADMSG;
}

bool xvmc_conn_rx_ended(struct conn_t *c)
{
	return c->rx.path == XVMC_PATH_RING && c->rx.eof && sender_died(c) != 0;
}

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

ssize_t xvmc_conn_rx_ready(struct conn_t *c)
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
		if (!rx->err && rx->eof && sender_died(c) < 0)
			return -ECONNRESET;
		return rx->err;
	}
	if (discard(c) == 0 && rx->path == XVMC_PATH_TCP && rx->in.len &&
	    rx->expect != rx->rcvd) {
		if (rx->in.len < rx->expect - rx->rcvd)
			return (ssize_t)rx->in.len;
		return (ssize_t)(rx->expect - rx->rcvd);
	}
	return rx->held_pos == rx->rcvd ? 1 : rx->err;
}
