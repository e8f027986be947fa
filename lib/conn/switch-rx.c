/* SPDX-License-Identifier: MIT */
/*
 * The switch, receiving side: the receiver follows the records it finds in
 * the TCP stream. tests/model/switch.pml is this file and switch-tx.c,
 * checked by spin. docs/protocol.md, "The switch"; [S 5], [S 6].
 */
#include <errno.h>

#include "rx.h"

#define PULL_PIECE (64u * 1024u)

static void enter_ring(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;

	rx->path = XVMC_PATH_RING;
	rx->reason = XVMC_R_PROMOTED;
	rx->expect = XVMC_POS_NONE;
	rx->epoch = rx->expect_epoch;
	if (rx->attached && !rx->gone)
		xvmc_recver_start(&rx->r, rx->rcvd);
	xvmc_conn_want(c, XVMC_EV_RX_CHANGED);
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
	xvmc_conn_want(c, XVMC_EV_CLOSED);
}

/*
 * At the expected position: is this the record, or the application's bytes?
 * Content decides, so that an acknowledgement the sender never saw cannot
 * hurt. 1: entered the ring; 0: application bytes; -EAGAIN: not all there.
 */
int rx_at_expected(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;
	struct xvmc_record rec;
	bool end;
	size_t cmp;
	ssize_t n;

	if (rx->err)
		return rx->err;
	n = rx_peek(c, &rec, sizeof(rec), &end);
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
		/* So few have been taken off the kernel, where a sleeper would
		 * wait for them. */
		if (rx->in.len)
			xvmc_conn_want(c, XVMC_EV_RX_CHANGED);
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
	rx_drop(c, sizeof(rec));
	enter_ring(c);
	return 1;
}

/* In ring mode the TCP stream holds nothing but the next record. */
static void read_record(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;
	struct xvmc_record rec;
	bool end;
	ssize_t n = rx_peek(c, &rec, sizeof(rec), &end);

	if (n < 0)
		return;
	if ((size_t)n < sizeof(rec)) {
		if (end) {
			/* No record, or half of one: the sender has died. */
			rx->eof = true;
			xvmc_conn_want(c, XVMC_EV_RX_CHANGED | XVMC_EV_CLOSED);
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
	rx_drop(c, sizeof(rec));
	rx->path = XVMC_PATH_TCP;
	rx->reason = rec.cause < XVMC_R_COUNT ? rec.cause : XVMC_R_NONE;
	rx->epoch = rec.epoch;
	rx->skip = rx->rcvd - rec.pos;
	rx->pull = rec.len > rx->in.len ? rec.len - rx->in.len : 0;
	rx->expect = XVMC_POS_NONE;
	xvmc_conn_want(c, XVMC_EV_RX_CHANGED |
			(rec.cause == XVMC_R_CLOSE ? XVMC_EV_CLOSED : 0) |
			(rec.flags & XVMC_REC_BOTH ? XVMC_EV_FOLLOW : 0));
}

/*
 * The end of the TCP stream inside a replay: the sender died while it wrote
 * it. 0: what is missing we had before; 1: what is missing may still be in
 * its ring; if not, it is provably gone.
 */
int rx_cut_replay(struct conn_t *c)
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
int rx_discard(struct conn_t *c)
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
			r = rx_take(c, &vec, 1, false);
			if (r == 0)
				return rx_cut_replay(c) < 0 ? -ECONNRESET : 0;
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

/*
 * Is the rest of the replay better left where it is? Whole in the kernel it is
 * like any other bytes, and can cross an exec. A small one will be soon.
 */
static bool leave_replay(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;
	ssize_t n = rx->pull && !rx->in.len ? c->tcp->queued(c->tcp_arg) : -1;

	if (n < 0)
		return false;
	if ((uint64_t)n >= rx->pull)
		rx->pull = 0;
	return rx->pull <= c->few;
}

static void pull(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;

	if (rx_discard(c) < 0 || rx->path == XVMC_PATH_RING)
		return;
	if (rx->hand_over) /* from here on they are the kernel's like any other */
		rx->pull = 0;
	if (leave_replay(c))
		return;
	while (rx->pull && !rx->err) {
		size_t n = rx->pull < PULL_PIECE ? rx->pull : PULL_PIECE;
		struct iovec vec = { .iov_base = xvmc_bytes_room(&rx->in, n),
				     .iov_len = n };
		ssize_t r;

		if (!vec.iov_base) /* the application will read it itself */
			return;
		r = rx_take(c, &vec, 1, false);
		if (r == 0) {
			rx_cut_replay(c);
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
		xvmc_conn_want(c, XVMC_EV_RX_CHANGED);
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
				rx_at_expected(c);
		}
	} while (rx->path != before);
}

int xvmc_conn_rx_ack(struct conn_t *c, uint64_t sent, unsigned int sleepers)
{
	struct conn_rx *rx = &c->rx;
	struct ring_announcement ann;
	uint64_t ksent, ktaken, karrived, arrived;
	int r;

	/* Only in TCP mode with every earlier record read: without this rule
	 * the model loses bytes. */
	if (!rx->attached || rx->gone || rx->kept || rx->path != XVMC_PATH_TCP ||
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
	if (rx->hand_over && ann.pos > rx->rcvd)
		goto later;
	if (ann.pos < rx->rcvd || ann.rcvd > sent || ann.epoch <= rx->epoch)
		goto mismatch;
	/* Behind unread bytes the record might be met by a child, or by the
	 * program of an exec, to which it means nothing. A few are read soon. */
	if (ann.pos != rx->rcvd && ann.pos - rx->rcvd <= c->few)
		goto later;
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
later:
	/* When the bytes before it have been read: the sender sees us come. */
	ring_release(rx->r.r, rx->rcvd);
	return 0;
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
