/* SPDX-License-Identifier: MIT */
/*
 * What one endpoint needs next, of the direction that it sends: its way to the
 * ring, and back to TCP where the reader of a full ring does not read.
 */
#include "service.h"

#define MS 1000000u
/* A reader of whom nothing is known may take so long, one that has shown to
 * come back by itself so long; after that, so long on TCP at least. */
#define STUCK_TRY_MAX (95u * MS)
#define STUCK_MAX (1000u * MS)
#define STUCK_AWAY (25 * MS)
/* A small ring may be what is wrong: it is not waited for as long. */
#define STUCK_SMALL 4u
#define BACKOFF_MIN (2 * MS)
#define BACKOFF_MAX (250u * MS)
/* Where writers wait for the answer, it comes late for want of a CPU, or the reader
 * is always a little behind: a twentieth of their time may go that way. So many times
 * longer where they waited so many times longer, seeing the reader come. */
#define BACKOFF_WAITED (20u * MS)

static void back_off(struct xvmc_endpoint *ep, uint64_t now, uint64_t most)
{
	uint64_t b = ep->svc.backoff_ns * 2;

	if (b < BACKOFF_MIN)
		b = BACKOFF_MIN;
	if (b > most)
		b = most;
	ep->svc.backoff_ns = b;
	ep->svc.try_ns = now + b;
}

/* Away from a ring whose reader did not read: once TCP is full, too, nothing is
 * lost by going back, and it shall be agreed on when the reader goes on. */
static bool may_announce(const struct xvmc_endpoint *ep, uint64_t now)
{
	return now >= ep->svc.try_ns || (ep->svc.away && endpoint_tcp_full(ep));
}

/* Such an announcement may be out for long: TCP being full, it delays nobody. But
 * whose reader never comes back shall not cost more than any other. */
#define AWAY_PATIENCE 250u

/* tx.lock held. Has the peer mapped our pages? It rings then, but a writer or a poll
 * that sleeps on the same bell may have taken that: so it is looked at again by
 * itself, the later the longer it has lasted. */
static void await_ready(struct xvmc_endpoint *ep, uint64_t now)
{
	struct conn_t *c = &ep->conn;
	uint64_t look = now > ep->svc.use_ns ? (now - ep->svc.use_ns) / 4 : 0;

	xvmc_hv_chan_ack(c->hv, &c->tx.chan);
	if (xvmc_conn_ready(c)) {
		ep->svc.want_ring = true;
		ep->svc.try_ns = 0;
		return;
	}
	look = look < BACKOFF_MIN ? BACKOFF_MIN : look > BACKOFF_MAX ? BACKOFF_MAX : look;
	drive_due(ep, now + look);
}

/* tx.lock held. */
void drive_tx(struct xvmc_service *sv, struct xvmc_endpoint *ep, uint64_t now)
{
	struct conn_t *c = &ep->conn;
	uint64_t waited = BACKOFF_WAITED * (1 + c->tx.ann_waits);
	bool mine = fork_owns_tx(ep), wants;
	int r;

	if (c->tx.have_chan && !c->tx.attached && !ep->svc.leaving)
		await_ready(ep, now);
	if (c->tx.announced) {
		xvmc_hv_chan_ack(c->hv, &c->tx.chan);
		if (xvmc_conn_tx_settle(c, now, false) == 0)
			service_log(sv, ep, "tx on the ring", XVMC_R_PROMOTED);
	}
	/* A writer may have settled it, by either way. */
	if (c->tx.refused) {
		c->tx.refused = false;
		if (!ep->svc.away)
			back_off(ep, now, c->tx.ann_wait_ns ? waited : BACKOFF_MAX);
		service_log(sv, ep, "tx stays on TCP", XVMC_R_ANN_TIMEOUT);
	}
	if (c->tx.path == XVMC_PATH_RING) {
		ep->svc.backoff_ns = 0;
		ep->svc.away = false;
	}
	if (xvmc_conn_tx_pending(c))
		xvmc_conn_tx_flush(c);
	/* A writer that is inside the kernel kicks us when it leaves. */
	wants = mine && ep->svc.want_ring && c->tx.attached && c->tx.path == XVMC_PATH_TCP &&
		!c->tx.err && !(atomic_load(&ep->tx_gate) & XVMC_GATE_COUNT);
	if (wants && !c->tx.announced && may_announce(ep, now)) {
		c->patience = ep->svc.away ? AWAY_PATIENCE : XVMC_PATIENCE;
		r = xvmc_conn_tx_announce(c, now);
		if (r == -EBADMSG)
			drive_leave(sv, ep, XVMC_R_COUNT_MISMATCH, true);
		else if (r == -EPIPE)
			ep->svc.want_ring = false;
		else if (r < 0)
			back_off(ep, now, BACKOFF_MAX);
	}
	if (c->tx.announced)
		drive_due(ep, xvmc_conn_tx_deadline(c));
	else if (wants && ep->svc.want_ring && ep->svc.try_ns > now && !ep->svc.away)
		drive_due(ep, ep->svc.try_ns);
	else if (wants && ep->svc.want_ring)
		drive_due(ep, now + BACKOFF_MIN);
}

/*
 * tx.lock held: does the reader of our full ring read? A program may count on
 * TCP's buffers, which are larger: then nobody moves until we are on TCP. Or
 * the reader is slow, or waits for a CPU. It is known for slow when it goes on
 * by itself after a while; until then we do not wait long.
 */
void drive_stuck(struct xvmc_service *sv, struct xvmc_endpoint *ep, uint64_t now)
{
	struct conn_tx *tx = &ep->conn.tx;
	struct xvmc_ep_svc *s = &ep->svc;
	bool small = grow_small(ep);
	uint64_t base = (uint64_t)ep->ctx->opt.stuck_ms * MS / (small ? STUCK_SMALL : 1);
	uint64_t limit = s->stuck_ns > base ? s->stuck_ns : base;
	uint64_t since = s->full_ns ? now - s->full_ns : 0;
	uint64_t reader = 0;

	if (!ep->tx_full)
		return;
	/* As it says itself: where it is not in the ring yet, it reads TCP. */
	if (tx->path == XVMC_PATH_RING)
		reader = ring_see_cons(tx->s.r);
	if (tx->path == XVMC_PATH_RING && xvmc_sender_look(&tx->s) == 0 &&
	    reader != s->full_known && since >= base / 2 && s->full_ns) {
		s->stuck_ns = 4 * since < STUCK_MAX ? 4 * since : STUCK_MAX;
		limit = s->stuck_ns;
	}
	if (tx->path != XVMC_PATH_RING || tx->s.prod - tx->s.known < tx->s.size / 2) {
		ep->tx_full = false;
		s->full_ns = 0;
		return;
	}
	if (!s->full_ns || reader != s->full_known) {
		s->full_ns = now;
		s->full_known = reader;
	} else if (since >= limit) {
		xvmc_conn_tx_leave(&ep->conn, XVMC_R_STUCK, false);
		ep->room.stuck = small;
		service_log(sv, ep, "tx to TCP", XVMC_R_STUCK);
		ep->tx_full = false;
		s->full_ns = 0;
		s->stuck_ns = 2 * limit < STUCK_TRY_MAX ? 2 * limit : STUCK_TRY_MAX;
		if (s->backoff_ns < STUCK_AWAY)
			s->backoff_ns = STUCK_AWAY;
		back_off(ep, now, BACKOFF_MAX);
		s->away = true;
		drive_due(ep, now + BACKOFF_MIN);
		return;
	}
	drive_due(ep, now + limit / 4);
}
