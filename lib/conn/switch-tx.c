/* SPDX-License-Identifier: MIT */
/*
 * The switch, sending side: the sender decides where its direction goes.
 * tests/model/switch.pml is this file and switch-rx.c, checked by spin.
 * docs/protocol.md, "The switch"; [S 5], [S 6].
 */
#include <errno.h>

#include "base/os.h"
#include "conn.h"

#define SEND_VECS 64

static void put_record(struct conn_t *c, enum xvmc_path target,
		       enum xvmc_reason why, unsigned int flags, uint64_t pos,
		       uint64_t len)
{
	struct conn_tx *tx = &c->tx;
	struct xvmc_record rec;

	xvmc_record_make(&rec, tx->s.nonce, tx->epoch, target, why, flags, pos,
			 len);
	/* At most two are ever on their way: RING, then at once TCP again. */
	memmove(tx->head, tx->head + tx->head_off,
		(size_t)(tx->head_len - tx->head_off));
	tx->head_len = (uint8_t)(tx->head_len - tx->head_off);
	tx->head_off = 0;
	memcpy(tx->head + tx->head_len, &rec, sizeof(rec));
	tx->head_len = (uint8_t)(tx->head_len + sizeof(rec));
	tx->reason = (uint8_t)why;
	c->switches++;
}

/* TCP itself is broken: nothing that waits can go out any more. */
static int tx_broken(struct conn_t *c, int err)
{
	struct conn_tx *tx = &c->tx;

	tx->err = err;
	if (err != -EPIPE) /* which comes after the end, and spoils nothing */
		xvmc_conn_keep_error(c, err);
	else
		c->untold_pipe = true;
	tx->path = XVMC_PATH_TCP;
	tx->head_off = tx->head_len = 0;
	tx->replay_pos = tx->replay_end;
	tx->fin_owed = false;
	tx->leave_epoch = 0;
	xvmc_conn_want(c, XVMC_EV_TX_CHANGED);
	return 0;
}

/* The receiver need not wait until its service thread has seen TCP [B6]. */
static void say_left(struct conn_t *c, uint32_t epoch)
{
	struct conn_tx *tx = &c->tx;

	tx->leave_epoch = 0;
	if (!tx->attached)
		return;
	ring_say_left(tx->s.s, epoch);
	xvmc_hv_notify(c->hv, &tx->chan);
}

static ssize_t flush_piece(struct conn_t *c, const uint8_t *p, size_t n)
{
	struct iovec vec = { .iov_base = (void *)(uintptr_t)p, .iov_len = n };
	ssize_t r = c->tcp->send(c->tcp_arg, &vec, 1, 0);

	if (r > 0)
		c->tx.extra += (uint64_t)r;
	return r;
}

int xvmc_conn_tx_flush(struct conn_t *c)
{
	struct conn_tx *tx = &c->tx;
	bool waited = xvmc_conn_tx_pending(c);
	ssize_t r;

	while (tx->head_off < tx->head_len) {
		r = flush_piece(c, tx->head + tx->head_off,
				(size_t)(tx->head_len - tx->head_off));
		if (r == -EAGAIN)
			goto later;
		if (r < 0)
			return tx_broken(c, (int)r);
		tx->head_off = (uint8_t)(tx->head_off + r);
	}
	if (tx->leave_epoch)
		say_left(c, tx->leave_epoch);
	while (tx->replay_pos < tx->replay_end) {
		size_t at = tx->replay_pos & (tx->s.size - 1);
		size_t n = tx->replay_end - tx->replay_pos;

		if (n > tx->s.size - at)
			n = tx->s.size - at;
		r = flush_piece(c, tx->s.data + at, n);
		if (r == -EAGAIN)
			goto later;
		if (r < 0)
			return tx_broken(c, (int)r);
		tx->replay_pos += (uint64_t)r;
		xvmc_stat_add(c->stats, XVMC_S_REPLAY_BYTES, (uint64_t)r);
	}
	if (tx->fin_owed) {
		tx->fin_owed = false;
		c->tcp->shutdown_wr(c->tcp_arg);
	}
	if (waited)
		xvmc_conn_want(c, XVMC_EV_TX_CHANGED);
	return 0;
later:
	xvmc_conn_want(c, XVMC_EV_PENDING);
	return -EAGAIN;
}

int xvmc_conn_tx_announce(struct conn_t *c, uint64_t now_ns)
{
	struct conn_tx *tx = &c->tx;
	struct ring_announcement ann;
	uint64_t ksent, ktaken, karrived;
	int r;

	if (tx->shut || tx->s.forsaken)
		return -EPIPE;
	if (tx->path != XVMC_PATH_TCP || !tx->attached || tx->announced ||
	    xvmc_conn_tx_pending(c) || tx->err)
		return -EAGAIN;
	/* Bytes that bypassed us would shift every later position. And who has
	 * shut TCP down for writing can write no record. */
	r = c->tcp->counts(c->tcp_arg, &ksent, &ktaken, &karrived);
	if (r == -EAGAIN || r == -EPIPE)
		return r;
	if (r == 0 && ksent != tx->sent - tx->ring_bytes + tx->extra) {
		tx->reason = XVMC_R_COUNT_MISMATCH;
		return -EBADMSG;
	}
	tx->epoch++;
	tx->ann_pos = tx->sent;
	tx->ann_ns = now_ns;
	tx->announced = true;
	tx->ann_wait_ns = 0;
	tx->ann_cons = ring_see_cons(tx->s.r);
	tx->ann_waits = 0;
	ann = (struct ring_announcement){ .pos = tx->sent,
					  .rcvd = c->rx.rcvd,
					  .epoch = tx->epoch };
	ring_announce(tx->s.s, tx->s.r, &ann);
	xvmc_hv_notify(c->hv, &tx->chan);
	return 0;
}

bool xvmc_conn_reader_gone(const struct conn_t *c)
{
	const struct conn_tx *tx = &c->tx;
	const struct conn_rx *rx = &c->rx;

	if (!tx->attached || ring_reader_lives(tx->s.r))
		return false;
	/* Our copy of the R-page may be an old one, if we have migrated [X 4].
	 * The peer's pages tell whether we have: looked at after that byte.
	 * They are mapped: who unmaps them holds our lock, too. */
	return rx->attached && !rx->gone && !rx->kept &&
	       ring_nonce_matches(rx->r.s, rx->r.nonce);
}

uint64_t xvmc_conn_tx_deadline(const struct conn_t *c)
{
	const struct conn_tx *tx = &c->tx;

	return tx->ann_wait_ns ? tx->ann_wait_ns + c->announce_ns :
				 tx->ann_ns + c->patience * c->announce_ns;
}

/*
 * A writer waits, and the reader has not answered, for it has bytes before O to read
 * yet (xvmc_conn_rx_ack): as long as it reads them so fast that it will be through
 * soon, nobody loses by waiting on, it having enough to do. The word is the peer's: at
 * worst it is believed XVMC_PATIENCE times.
 */
static bool reader_comes(struct conn_t *c, uint64_t now_ns)
{
	struct conn_tx *tx = &c->tx;
	uint64_t cons = ring_see_cons(tx->s.r), came, left;

	if (!tx->ann_wait_ns || cons <= tx->ann_cons || cons >= tx->ann_pos ||
	    tx->ann_waits >= XVMC_PATIENCE)
		return false;
	came = cons - tx->ann_cons;
	left = tx->ann_pos - cons;
	if (left / came >= XVMC_PATIENCE - tx->ann_waits)
		return false;
	tx->ann_waits++;
	tx->ann_cons = cons;
	tx->ann_wait_ns = now_ns;
	return true;
}

int xvmc_conn_tx_settle(struct conn_t *c, uint64_t now_ns, bool give_up)
{
	struct conn_tx *tx = &c->tx;
	enum xvmc_ann_state state;

	if (!tx->announced)
		return tx->path == XVMC_PATH_RING ? 0 : -ECANCELED;
	state = ring_ann_state(tx->s.r, tx->epoch);
	if (state == XVMC_ANN_ANNOUNCED) {
		if (!give_up && (now_ns < xvmc_conn_tx_deadline(c) || reader_comes(c, now_ns)))
			return -EBUSY;
		/* One compare-and-swap decides [protocol B5]. */
		if (!ring_decide(tx->s.r, tx->epoch, XVMC_ANN_CANCELLED))
			state = ring_ann_state(tx->s.r, tx->epoch);
	}
	tx->announced = false;
	xvmc_conn_want(c, XVMC_EV_TX_CHANGED);
	if (state != XVMC_ANN_ACKED || xvmc_conn_reader_gone(c)) {
		tx->refused = !give_up;
		tx->reason = XVMC_R_ANN_TIMEOUT;
		xvmc_stat_add(c->stats, XVMC_S_ANN_CANCELLED, 1);
		return -ECANCELED;
	}
	/* Not before the acknowledgement: a receiver that is still to read
	 * the end of the ring's last use would take it for new bytes. */
	tx->asked = false;
	xvmc_sender_start(&tx->s, tx->ann_pos);
	put_record(c, XVMC_PATH_RING, XVMC_R_PROMOTED, 0, tx->ann_pos, 0);
	tx->path = XVMC_PATH_RING;
	xvmc_stat_add(c->stats, XVMC_S_TO_RING, 1);
	xvmc_conn_tx_flush(c);
	return 0;
}

void xvmc_conn_tx_leave(struct conn_t *c, enum xvmc_reason why, bool both)
{
	struct conn_tx *tx = &c->tx;
	uint64_t len;
	bool gone;

	if (tx->announced)
		xvmc_conn_tx_settle(c, 0, true);
	if (tx->path == XVMC_PATH_TCP) {
		tx->reason = (uint8_t)why;
		return;
	}
	/* Looked at first: it consumed nothing after it was gone. */
	gone = xvmc_conn_reader_gone(c);
	/* O may be old, never too new: a lying cons leaves the last good one. */
	xvmc_sender_look(&tx->s);
	len = tx->s.prod - tx->s.known;
	if (gone && !len) {
		xvmc_conn_tx_abandon(c, why);
		return;
	}
	tx->epoch++;
	put_record(c, XVMC_PATH_TCP, why, both ? XVMC_REC_BOTH : 0, tx->s.known,
		   len);
	tx->replay_pos = tx->s.known;
	tx->replay_end = tx->s.prod;
	tx->leave_epoch = tx->epoch;
	tx->asked = both;
	tx->path = XVMC_PATH_TCP;
	xvmc_stat_add(c->stats, XVMC_S_TO_TCP, 1);
	xvmc_stat_add(c->stats, XVMC_S_REASON0 + why, 1);
	xvmc_conn_want(c, XVMC_EV_TX_CHANGED);
	xvmc_conn_tx_flush(c);
}

void xvmc_conn_tx_abandon(struct conn_t *c, enum xvmc_reason why)
{
	struct conn_tx *tx = &c->tx;

	if (tx->announced)
		xvmc_conn_tx_settle(c, 0, true);
	tx->reason = (uint8_t)why;
	xvmc_conn_want(c, XVMC_EV_TX_CHANGED);
	/* A replay that is on its way goes on: whoever closed may be reading
	 * it, and would take half of one for our death. */
	if (tx->path != XVMC_PATH_RING)
		return;
	xvmc_stat_add(c->stats, XVMC_S_REASON0 + why, 1);
	xvmc_sender_look(&tx->s);
	tx->unread = tx->s.known < tx->s.prod;
	tx->head_off = tx->head_len = 0;
	tx->path = XVMC_PATH_TCP;
	say_left(c, UINT32_MAX);
}

static ssize_t write_tcp(struct conn_t *c, struct xvmc_iov *it, int flags)
{
	struct iovec vec[SEND_VECS];
	size_t cnt = xvmc_iov_slice(it, it->left, vec, SEND_VECS);
	ssize_t r = c->tcp->send(c->tcp_arg, vec, cnt, flags);

	if (r > 0) {
		xvmc_iov_advance(it, (size_t)r);
		c->tx.sent += (uint64_t)r;
		xvmc_stat_add(c->stats, XVMC_S_TCP_TX_BYTES, (uint64_t)r);
	}
	return xvmc_conn_ends((int)r) ? xvmc_conn_tell(c, (int)r) : r;
}

/* What poll calls writable has room for it: so little goes at once or waits, as it
 * does on TCP. Else several threads would tear each other's records. */
static bool at_once(const struct sender_t *s, size_t n)
{
	return n <= s->size / 4;
}

static ssize_t write_ring(struct conn_t *c, struct xvmc_iov *it)
{
	struct conn_tx *tx = &c->tx;
	bool ring = false;
	ssize_t r = xvmc_sender_room(&tx->s, it->left);

	if (r >= 0 && (size_t)r < it->left && at_once(&tx->s, it->left))
		return -EAGAIN;
	if (r >= 0)
		r = xvmc_sender_write(&tx->s, it, it->left, &ring);
	if (r > 0) {
		atomic_store_explicit(&tx->sent, tx->s.prod, memory_order_relaxed);
		tx->ring_bytes += (uint64_t)r;
		xvmc_stat_add(c->stats, XVMC_S_RING_TX_BYTES, (uint64_t)r);
	}
	if (ring) {
		xvmc_hv_notify(c->hv, &tx->chan);
		xvmc_stat_add(c->stats, XVMC_S_DOORBELLS, 1);
	}
	if (tx->s.forsaken)
		xvmc_conn_tx_leave(c, XVMC_R_PEER_LEFT, true);
	return r ? r : -EAGAIN;
}

/* What TCP itself has to say to who writes. */
static int ask_tcp(struct conn_t *c)
{
	ssize_t r = c->tcp->send(c->tcp_arg, NULL, 0, 0);

	if (r >= 0 || r == -EAGAIN)
		return 0;
	return r == -EPIPE ? -EPIPE : xvmc_conn_tell(c, (int)r);
}

/* What is wrong with the connection, as a write says it: 0, the socket's error
 * (once, to reader or writer), or -EPIPE. */
static int tx_error(struct conn_t *c)
{
	int err;

	if (!c->tx.err && !c->tx.shut && !c->rx.err && !c->untold)
		return 0;
	c->untold_pipe = false;
	err = xvmc_conn_tell(c, 0);
	if (!err && !c->tx.err && !c->rx.err && !c->tx.fin_owed)
		err = ask_tcp(c);
	return err ? err : -EPIPE;
}

int xvmc_conn_write_nothing(struct conn_t *c)
{
	int r = tx_error(c);

	if (r < 0)
		return r;
	if (c->tx.path == XVMC_PATH_RING && xvmc_conn_reader_gone(c))
		xvmc_conn_tx_leave(c, XVMC_R_CLOSE, false);
	if (c->tx.path == XVMC_PATH_RING || xvmc_conn_tx_pending(c))
		return 0;
	return c->tx.err ? tx_error(c) : ask_tcp(c);
}

ssize_t xvmc_conn_write(struct conn_t *c, struct xvmc_iov *it, int flags)
{
	struct conn_tx *tx = &c->tx;
	ssize_t r = tx_error(c);

	if (r < 0)
		return r;
	if (tx->announced) {
		uint64_t now = os_now_ns();

		if (!tx->ann_wait_ns)
			tx->ann_wait_ns = now;
		if (xvmc_conn_tx_settle(c, now, false) == -EBUSY)
			return -EBUSY;
	}
	/* Records and replays first, whichever way is next: who finds the ring
	 * used must be able to find the record, too. */
	if (xvmc_conn_tx_pending(c)) {
		r = xvmc_conn_tx_flush(c);
		if (r < 0)
			return r;
		if (tx->err)
			return tx_error(c);
	}
	if (tx->path == XVMC_PATH_RING) {
		bool gone = xvmc_conn_reader_gone(c);

		r = gone ? -EPROTO : write_ring(c, it);
		if (r != -EPROTO)
			return r;
		/* The peer wrote an index that cannot be, or has closed: what
		 * is to be said of that is TCP's to say. */
		xvmc_conn_tx_leave(c, gone ? XVMC_R_CLOSE : XVMC_R_BAD_INDEX, !gone);
		if (xvmc_conn_tx_pending(c))
			return -EAGAIN;
		if (tx->err)
			return tx_error(c);
	}
	return write_tcp(c, it, flags);
}

size_t xvmc_conn_write_now(struct conn_t *c, const void *buf, size_t n)
{
	struct conn_tx *tx = &c->tx;
	struct iovec vec = { (void *)(uintptr_t)buf, n };
	struct xvmc_iov it = { .vec = &vec, .cnt = 1, .left = n };
	ssize_t r;

	if (tx->path != XVMC_PATH_RING || tx->err || tx->shut || c->rx.err || c->untold ||
	    xvmc_conn_tx_pending(c) || xvmc_conn_reader_gone(c))
		return 0;
	if (n > tx->s.size || xvmc_sender_room(&tx->s, n) < (ssize_t)n)
		return 0;
	r = write_ring(c, &it);
	return r > 0 ? (size_t)r : 0;
}
