/* SPDX-License-Identifier: MIT */
/*
 * What stands for the service thread at one end: one duty at a time, in an
 * order that is left to chance. It keeps the rules that lib/conn/conn.h asks
 * of its caller; the set-up messages are in setup.c.
 */
#include <errno.h>

#include "sim.h"

#define PROOF_NS 20000000u

static bool inside(const struct sim_end *e)
{
	return e->app.rd == SIM_IN_KERNEL || e->app.rd == SIM_HOLDING;
}

static bool to_send(const struct sim_end *e)
{
	return !e->app.wr_done && !e->app.wr_err && e->app.sent < e->app.total;
}

/* Both rings are to go: as soon as nothing of them is needed. */
void sim_service_drop(struct sim_end *e, enum xvmc_reason why, bool both)
{
	sim_trace(e->sim, "end %ld drops its rings, reason %ld", e->guest, why, 0, 0, 0);
	if (e->c.tx.announced)
		sim_count(e->sim, SIM_C_LEAVE_ANNOUNCED);
	else if (both)
		sim_setup_leave(e);
	xvmc_conn_tx_leave(&e->c, why, both);
	e->svc.stale_tx = e->c.tx.have_share;
	e->svc.stale_rx = e->c.rx.have_map_r;
	sim_check_end(e, "leave");
}

static bool do_events(struct sim_end *e)
{
	uint32_t ev = e->svc.events;

	if (!ev)
		return false;
	sim_trace(e->sim, "end %ld events %lx", e->guest, ev, 0, 0, 0);
	e->svc.events = 0;
	if (ev & XVMC_EV_GONE) {
		sim_count(e->sim, SIM_C_GONE);
		sim_service_drop(e, XVMC_R_MIGRATE_SELF, true);
		e->svc.notice_at = 0; /* look at the incarnation */
	}
	if (ev & XVMC_EV_FOLLOW) {
		if (e->c.tx.path == XVMC_PATH_RING)
			sim_count(e->sim, SIM_C_FOLLOW);
		xvmc_conn_tx_leave(&e->c, XVMC_R_PEER_LEFT, false);
	}
	if (ev & XVMC_EV_CLOSED) {
		xvmc_conn_tx_abandon(&e->c, XVMC_R_CLOSE);
		e->svc.no_more = true;
	}
	sim_check_end(e, "events");
	return true;
}

/* Have we moved? The incarnation says so; who looks, and when, is chance. */
static bool do_moved(struct sim_end *e)
{
	const struct sim_dom *d = sim_dom(e);

	if (d->incarnation == e->svc.incarnation || e->sim->now < e->svc.notice_at)
		return false;
	sim_trace(e->sim, "end %ld notices that it has moved", e->guest, 0, 0, 0, 0);
	e->svc.incarnation = d->incarnation;
	sim_service_drop(e, XVMC_R_MIGRATE_SELF, true);
	e->svc.link = 0;
	e->svc.registered = false;
	return true;
}

/* VMs[]: the peer's guest is not where the rings lead. */
static bool do_board(struct sim_end *e)
{
	if (e->svc.board_seen == e->sim->relay.serial || !sim_chance(&e->sim->rng, 300))
		return false;
	e->svc.board_seen = e->sim->relay.serial;
	if (!e->svc.link || sim_relay_coresident(e))
		return false;
	sim_service_drop(e, XVMC_R_MIGRATE_PEER, true);
	e->svc.link = 0;
	e->svc.registered = false;
	return true;
}

static void ack(struct sim_end *e)
{
	bool zombie = e->c.rx.attached && sim_hv_zombie(&e->sim->hv, &e->c.rx.map_r);
	int r = xvmc_conn_rx_ack(&e->c, e->c.tx.sent, inside(e));

	if (r == 1) {
		sim_trace(e->sim, "end %ld expects a record at %ld", e->guest,
			  (long)e->c.rx.expect, 0, 0, 0);
		if (zombie)
			sim_count(e->sim, SIM_C_ACK_ZOMBIE);
	}
	if (r < 0 && !e->sim->plan.hostile && !e->sock->reset)
		sim_fail(e->sim, "end %u: an honest announcement was refused: %d",
			 e->guest, r);
	sim_check_end(e, "ack");
}

void sim_service_answer(struct sim_end *e)
{
	if (!e->killed && !e->closed && !e->evil && !e->app.closing && e->c.rx.have_chan)
		ack(e);
}

static bool do_rx_bell(struct sim_end *e)
{
	uint64_t bell;

	if (!e->c.rx.have_chan || e->app.closing)
		return false;
	bell = sim_hv_signals(&e->c.rx.chan);
	if (bell == e->svc.rx_bell && e->sim->now < e->svc.bell_at)
		return false;
	e->svc.rx_bell = bell;
	e->svc.bell_at = e->sim->plan.lose ? e->sim->now + 3000000 : UINT64_MAX;
	ack(e);
	return true;
}

static void settle(struct sim_end *e)
{
	bool late = e->sim->now >= xvmc_conn_tx_deadline(&e->c);

	/* The answer may come between the look and the cancellation. */
	if (late && !e->sim->nested && sim_chance(&e->sim->rng, 500)) {
		e->sim->word_skip = (unsigned int)sim_range(&e->sim->rng, 1, 2);
		e->sim->word_answer = sim_chance(&e->sim->rng, 500);
	}
	if (xvmc_conn_tx_settle(&e->c, e->sim->now, false) == 0 && late)
		sim_count(e->sim, SIM_C_CANCEL_LOST);
	sim_trace(e->sim, "end %ld settles: path %ld announced %ld", e->guest,
		  e->c.tx.path, e->c.tx.announced, 0, 0);
	sim_check_end(e, "settle");
}

/* [S 3 step 5] The first ring of a channel; where rings are lost, a look at any
 * time, as the real one looks with whatever else it has to do. */
static bool ready(struct sim_end *e)
{
	struct sim_svc *svc = &e->svc;

	if (svc->stale_tx || !xvmc_conn_ready(&e->c))
		return false;
	sim_trace(e->sim, "end %ld is ready to send by ring", e->guest, 0, 0, 0, 0);
	svc->cancels = 0;
	svc->announce_at = e->sim->now + sim_below(&e->sim->rng, 300000);
	sim_check_end(e, "ready");
	return true;
}

static bool do_tx_bell(struct sim_end *e)
{
	uint64_t bell;

	if (!e->c.tx.have_chan)
		return false;
	bell = sim_hv_signals(&e->c.tx.chan);
	if (bell == e->svc.tx_bell)
		return e->sim->plan.lose && ready(e);
	e->svc.tx_bell = bell;
	ready(e);
	if (e->c.tx.announced)
		settle(e);
	return true;
}

static bool do_timeout(struct sim_end *e)
{
	if (!e->c.tx.announced || e->sim->now < xvmc_conn_tx_deadline(&e->c))
		return false;
	settle(e);
	return true;
}

static bool do_announce(struct sim_end *e)
{
	const struct conn_tx *tx = &e->c.tx;
	int r;

	if (!tx->attached || tx->path != XVMC_PATH_TCP || tx->announced ||
	    e->svc.stale_tx || e->svc.prepare || e->svc.no_more ||
	    !e->svc.link || e->sim->now < e->svc.announce_at ||
	    e->sim->plan.on_tcp == 1 + e->guest ||
	    (!to_send(e) && !e->sim->plan.eager))
		return false;
	if (e->svc.cancels >= 4) { /* the peer seems to have lost the pages */
		e->svc.cancels = 0;
		sim_service_drop(e, XVMC_R_ANN_TIMEOUT, true);
		return true;
	}
	r = xvmc_conn_tx_announce(&e->c, e->sim->now);
	sim_trace(e->sim, "end %ld announces %ld: %ld", e->guest,
		  (long)tx->ann_pos, r, 0, 0);
	if (r == -EBADMSG && !e->sock->reset)
		sim_fail(e->sim, "end %u: the kernel counts differently", e->guest);
	if (r < 0)
		e->svc.announce_at = r == -EPIPE ? UINT64_MAX : e->sim->now + 200000;
	sim_check_end(e, "announce");
	return true;
}

/* Whatever TCP holds that is no business of the reader's. A thread that is
 * inside the kernel takes it itself. */
static bool do_tcp_in(struct sim_end *e)
{
	struct conn_rx *rx = &e->c.rx;
	uint64_t expect = rx->expect, skip;
	bool had = rx->attached && !rx->gone;

	if (inside(e) || rx->err || !sim_tcp_readable(e->sock))
		return false;
	if (rx->path == XVMC_PATH_RING ? rx->eof :
					 !rx->pull && !rx->skip && expect != rx->rcvd)
		return false;
	if (sim_chance(&e->sim->rng, e->sim->plan.drowsy))
		return true; /* it is busy with others: the reader may be first */
	xvmc_conn_rx_pump(&e->c);
	skip = rx->skip;
	sim_trace(e->sim, "end %ld pumps: rx path %ld skip %ld pull %ld in %ld",
		  e->guest, rx->path, (long)skip, (long)rx->pull, (long)rx->in.len);
	if (skip)
		sim_count(e->sim, SIM_C_REPLAY_SKIP);
	if (expect == rx->rcvd && rx->path == XVMC_PATH_RING) {
		if (rx->eof)
			sim_count(e->sim, SIM_C_EOF_EXPECT);
		if (!had || ((struct sim_map *)rx->map_sd.priv)->hole)
			sim_count(e->sim, SIM_C_RING_WITHOUT);
	}
	sim_check_end(e, "pump");
	return true;
}

/* TCP has ended without a record: how did the sender end? Not for ever. */
static bool do_end(struct sim_end *e)
{
	struct conn_rx *rx = &e->c.rx;

	if (rx->path != XVMC_PATH_RING || !rx->eof || rx->no_proof)
		return false;
	if (!rx->eof_ns)
		rx->eof_ns = e->sim->now;
	if (xvmc_conn_rx_ended(&e->c) || e->sim->now - rx->eof_ns > PROOF_NS) {
		rx->no_proof = true;
		e->rx_changed++;
		return true;
	}
	return false;
}

static bool do_flush(struct sim_end *e)
{
	if (!xvmc_conn_tx_pending(&e->c) || !sim_tcp_writable(e->sock))
		return false;
	xvmc_conn_tx_flush(&e->c);
	sim_check_end(e, "flush");
	return true;
}

/* The peer's guest has left, it seems, and says nothing over TCP; whether it is
 * so, and how long is waited for it, is chance. */
static bool do_let_go(struct sim_end *e)
{
	bool rings = e->c.rx.have_map_r && !e->c.rx.gone && !e->c.rx.kept;
	int r;

	if (!e->svc.stale_rx || !rings || e->c.tx.path != XVMC_PATH_TCP ||
	    e->c.tx.announced || !sim_chance(&e->sim->rng, 20))
		return false;
	/* The peer may publish while its pages are being copied. */
	if (!e->sim->nested && sim_chance(&e->sim->rng, 500))
		e->sim->word_skip = (unsigned int)sim_range(&e->sim->rng, 1, 6);
	r = xvmc_conn_let_go(&e->c);
	sim_trace(e->sim, "end %ld lets the pages go: %ld", e->guest, r, 0, 0, 0);
	if (e->c.rx.kept) {
		sim_count(e->sim, SIM_C_LET_GO);
		if (e->c.rx.path == XVMC_PATH_RING && e->c.rx.r.cons < ring_see_prod(e->c.rx.r.s))
			sim_count(e->sim, SIM_C_LET_GO_UNREAD);
		if (e->c.tx.replay_pos < e->c.tx.replay_end)
			sim_count(e->sim, SIM_C_LET_GO_REPLAY);
		if (e->c.rx.expect != XVMC_POS_NONE)
			sim_count(e->sim, SIM_C_LET_GO_EXPECT);
	}
	sim_check_end(e, "let go");
	return true;
}

static bool do_detach_tx(struct sim_end *e)
{
	if (!e->svc.stale_tx || !xvmc_conn_tx_idle(&e->c))
		return false;
	e->svc.stale_tx = false;
	e->svc.unlink = true;
	xvmc_conn_tx_detach(&e->c);
	sim_check_end(e, "detach");
	return true;
}

/* A replay may yet be cut short by the sender's death: then its rest is in
 * the ring. And our own direction goes first: the byte that the hypervisor
 * clears with the mapping must not say that we died. */
static bool do_detach_rx(struct sim_end *e)
{
	if (!e->svc.stale_rx || !xvmc_conn_rx_idle(&e->c) ||
	    !xvmc_conn_tx_idle(&e->c) || e->c.rx.skip || e->c.rx.pull)
		return false;
	e->svc.stale_rx = false;
	e->svc.unlink = true;
	xvmc_conn_rx_detach(&e->c);
	sim_check_end(e, "detach");
	return true;
}

/* Both directions are without rings: this link is over. */
static bool do_unlink(struct sim_end *e)
{
	if (!e->svc.unlink || e->svc.stale_tx || e->svc.stale_rx)
		return false;
	e->svc.unlink = e->svc.asked = false;
	sim_relay_unlink(e);
	e->svc.link = 0;
	e->svc.registered = false;
	return true;
}

static bool do_register(struct sim_end *e)
{
	const struct sim_relay *rl = &e->sim->relay;

	if (!rl->up || (e->svc.registered && e->svc.gen == rl->gen) || e->svc.no_more)
		return false;
	sim_relay_register(e);
	return true;
}

static bool do_prepared(struct sim_end *e)
{
	if (!e->svc.prepare || e->svc.prepared || e->c.tx.have_share || e->c.rx.have_map_r)
		return false;
	e->svc.prepared = true;
	return true;
}

/* The peer sees in its R-page that we have stopped: neither guest has moved
 * since the rings were made, nor will. */
static bool can_know(const struct sim_end *e)
{
	const struct sim_end *p = e->peer;
	const struct conn_rx *rx = &e->c.rx;

	return rx->attached && !rx->gone && !rx->kept && p->c.tx.attached &&
	       p->c.rx.attached && !p->c.rx.gone && !p->c.rx.kept &&
	       !((const struct sim_map *)rx->map_r.priv)->hole &&
	       !((const struct sim_map *)p->c.rx.map_sd.priv)->hole &&
	       !sim_hv_zombie(&e->sim->hv, &rx->map_r) && !sim_inject_moves(e->sim);
}

static uint64_t pending(const struct conn_tx *tx)
{
	return (uint64_t)(tx->head_len - tx->head_off) + tx->replay_end - tx->replay_pos;
}

/* What was under way to us when we stopped reading, records and replays, has
 * been taken off TCP. The real one gives it a time to do so. */
static bool took_the_rest(struct sim_end *e)
{
	const struct sim_pipe *in = &e->sock->tcp->pipe[!e->sock->side];
	const struct conn_tx *tx = &e->peer->c.tx;
	struct sim_svc *svc = &e->svc;

	/* Not within a step of the peer's that began before we stopped. */
	if (!svc->marked && (e->sim->nested || e->sim->step == svc->stop_step))
		return false;
	if (!svc->marked) {
		svc->marked = true;
		svc->mark = in->sent + pending(tx);
		svc->close_at = e->sim->now + sim_below(&e->sim->rng, 500000);
	}
	return e->sim->now >= svc->close_at &&
	       (in->taken >= svc->mark || in->taken == in->sent + pending(tx));
}

/*
 * The end of close(): the socket stays open until the peer can have written
 * nothing but records that we have read, or has all that we sent. Else its
 * next record would meet a closed socket, and the reset would throw away
 * what is still on its way to it. But a peer that can see that we read no more
 * writes no such record.
 */
static bool may_close(struct sim_end *e)
{
	const struct conn_rx *rx = &e->c.rx;
	const struct sim_pipe *out = &e->sock->tcp->pipe[e->sock->side];

	if (xvmc_conn_tx_pending(&e->c))
		return false;
	if (rx->err || rx->eof || e->sock->reset || e->c.tx.err ||
	    (out->fin_arrived && out->arrived == out->sent))
		return true;
	if (xvmc_conn_rx_idle(&e->c))
		return !rx->skip && !rx->pull;
	if (!can_know(e) || !took_the_rest(e))
		return false;
	sim_count(e->sim, SIM_C_CLOSE_EARLY);
	return true;
}

static bool do_close(struct sim_end *e)
{
	struct sim_app *app = &e->app;

	if (!app->wr_done || !app->rd_done)
		return false;
	if (!app->closing) {
		sim_trace(e->sim, "end %ld closes", e->guest, 0, 0, 0, 0);
		app->closing = e->svc.no_more = true;
		e->svc.stop_step = e->sim->step;
		if (e->c.tx.path == XVMC_PATH_RING)
			sim_count(e->sim, SIM_C_CLOSE);
		xvmc_conn_tx_leave(&e->c, XVMC_R_CLOSE, false);
		xvmc_conn_rx_stop(&e->c);
		if (!e->c.tx.shut)
			e->c.tx.shut = e->c.tx.fin_owed = true;
		xvmc_conn_tx_flush(&e->c);
		sim_check_end(e, "close");
		return true;
	}
	if (!may_close(e))
		return false;
	sim_trace(e->sim, "end %ld is closed", e->guest, 0, 0, 0, 0);
	sim_tcp_close(e->sock);
	xvmc_conn_tx_detach(&e->c);
	xvmc_conn_rx_detach(&e->c);
	sim_relay_unregister(e);
	e->closed = true;
	return true;
}

static bool (*const duties[])(struct sim_end *e) = {
	sim_setup_inbox, do_events, do_moved,	  do_board,	do_rx_bell,
	do_tx_bell,	 do_timeout, do_announce, do_tcp_in,	do_flush, do_end,
	do_let_go,	 do_detach_tx,	 do_detach_rx, do_unlink,	  do_register,	do_prepared,
	sim_setup_ask,	 sim_setup_offer, do_close,
};
#define DUTIES (sizeof(duties) / sizeof(duties[0]))

bool sim_service_step(struct sim_end *e)
{
	size_t first = sim_below(&e->sim->rng, DUTIES);

	for (size_t i = 0; i < DUTIES; i++)
		if (duties[(first + i) % DUTIES](e))
			return true;
	return false;
}

uint64_t sim_service_timer(const struct sim_end *e)
{
	uint64_t now = e->sim->now, at = UINT64_MAX;
	const uint64_t when[] = {
		e->c.tx.announced ? xvmc_conn_tx_deadline(&e->c) : UINT64_MAX,
		e->svc.announce_at, e->svc.ask_at, e->svc.bell_at,
		e->svc.notice_at, e->svc.close_at,
		e->c.rx.eof_ns ? e->c.rx.eof_ns + PROOF_NS + 1 : UINT64_MAX,
		e->svc.board_seen != e->sim->relay.serial ? now + 1 : UINT64_MAX,
	};

	for (size_t i = 0; i < sizeof(when) / sizeof(when[0]); i++)
		if (when[i] > now && when[i] < at)
			at = when[i];
	return at;
}
