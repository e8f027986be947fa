/* SPDX-License-Identifier: MIT */
/*
 * What must hold: invariants after every call, every byte at its position,
 * and an end of stream or an error only where it is true.
 */
#include <errno.h>
#include <inttypes.h>

#include "sim.h"

/* Byte number pos of a stream. Never the first byte of a nonce (os.c). */
static inline uint64_t word_at(uint64_t key, uint64_t pos)
{
	return sim_mix(key ^ (pos >> 3) * 0x9e3779b97f4a7c15u);
}

static inline uint8_t byte_of(uint64_t word, uint64_t pos)
{
	uint8_t b = (uint8_t)(word >> (8 * (pos & 7)));

	return b == 0xa5 ? 0x5a : b;
}

void sim_fill(uint64_t key, uint64_t pos, uint8_t *buf, size_t n)
{
	uint64_t word = word_at(key, pos);

	for (size_t i = 0; i < n; i++, pos++) {
		if ((pos & 7) == 0)
			word = word_at(key, pos);
		buf[i] = byte_of(word, pos);
	}
}

void sim_compare(struct sim_end *e, const uint8_t *buf, size_t n, const char *what)
{
	uint64_t pos = e->app.rcvd, key = e->peer->app.key;
	uint64_t word = word_at(key, pos);

	if (e->sim->plan.hostile)
		return;
	for (size_t i = 0; i < n; i++, pos++) {
		if ((pos & 7) == 0)
			word = word_at(key, pos);
		if (buf[i] != byte_of(word, pos))
			sim_fail(e->sim, "end %u: %s gave a wrong byte at position %" PRIu64,
				 e->guest, what, pos);
	}
}

static void check_tx(struct sim_end *e)
{
	struct sim *s = e->sim;
	struct conn_tx *tx = &e->c.tx;

	if (tx->path == XVMC_PATH_RING && !e->was_ring) {
		if (e->ringed)
			sim_count(s, SIM_C_TO_RING_AGAIN);
		e->ringed = true;
		e->svc.cancels = 0;
	}
	if (e->was_ring && tx->path == XVMC_PATH_TCP)
		sim_trace(s, "end %ld tx is back on TCP at %ld, known %ld, reason %ld",
			  e->guest, (long)tx->sent, (long)tx->s.known, tx->reason, 0);
	if (e->was_announced && !tx->announced && tx->path == XVMC_PATH_TCP) {
		if (tx->have_share && e->peer->app.closing &&
		    ring_ann_state(tx->s.r, tx->epoch) == XVMC_ANN_ACKED)
			sim_count(s, SIM_C_NOT_ENTERED);
		e->svc.cancels++;
		e->svc.announce_at = s->now + 100000 + sim_below(&s->rng, 1000000);
	}
	e->was_announced = tx->announced;
	e->was_ring = tx->path == XVMC_PATH_RING;
}

/* Only a sender whose guest has migrated can have missed our answer; or it
 * has seen that we have closed since. */
static void check_doubt(struct sim_end *e)
{
	const struct conn_rx *rx = &e->c.rx;
	uint64_t was = e->was_expect;

	e->was_expect = rx->expect;
	if (was == XVMC_POS_NONE || rx->expect != XVMC_POS_NONE ||
	    rx->path != XVMC_PATH_TCP || rx->err || rx->pull || rx->skip ||
	    e->app.closing || e->sock->reset || !rx->have_map_r || e->sim->plan.hostile)
		return;
	/* or the record of the way back came right behind */
	if (e->c.rx.epoch > e->c.rx.expect_epoch)
		return;
	if (((const struct sim_map *)rx->map_r.priv)->owner_life !=
	    e->sim->hv.dom[e->peer->guest].life)
		sim_count(e->sim, SIM_C_DOUBT);
	else if (!e->peer->killed)
		sim_fail(e->sim, "end %u: an answer was lost, and nobody migrated",
			 e->guest);
}

void sim_check_end(struct sim_end *e, const char *what)
{
	struct sim *s = e->sim;
	struct xvmc_stats_page *st = &s->stats[e->guest];
	uint32_t ev = atomic_exchange(&e->c.events, 0);

	e->rx_changed += (ev & XVMC_EV_RX_CHANGED) != 0;
	e->tx_changed += (ev & XVMC_EV_TX_CHANGED) != 0;
	if (ev & XVMC_EV_PENDING)
		sim_count(s, SIM_C_REPLAY_WAIT);
	e->svc.events |= ev & (XVMC_EV_FOLLOW | XVMC_EV_GONE | XVMC_EV_CLOSED);
	if (!xvmc_conn_validate(&e->c))
		sim_fail(s, "end %u: invariants broken after %s", e->guest, what);
	if (e->c.tx.sent != e->app.sent || e->c.rx.rcvd != e->app.rcvd + e->c.rx.front.len)
		sim_fail(s, "end %u: counts %" PRIu64 " sent %" PRIu64
			 " received, the application %" PRIu64 " and %" PRIu64,
			 e->guest, (uint64_t)e->c.tx.sent, (uint64_t)e->c.rx.rcvd,
			 e->app.sent, e->app.rcvd);
	if (e->c.rx.in.cap > 1u << 22)
		sim_fail(s, "end %u: a residual of %zu bytes", e->guest,
			 e->c.rx.in.cap);
	if (e->c.rx.in.len)
		sim_count(s, SIM_C_RESIDUAL);
	if (e->c.tx.err && !e->sock->reset && !s->plan.hostile)
		sim_fail(s, "end %u: writes to TCP behind its own end", e->guest);
	check_tx(e);
	check_doubt(e);
	if (e->c.rx.eof && !e->was_eof && e->c.rx.path == XVMC_PATH_RING && e->c.rx.in.len)
		sim_count(s, SIM_C_EOF_HALF);
	e->was_eof = e->c.rx.eof;
	if (s->plan.hostile)
		return;
	if (st->value[XVMC_S_REASON0 + XVMC_R_BAD_INDEX] ||
	    st->value[XVMC_S_REASON0 + XVMC_R_BAD_RECORD] ||
	    e->c.rx.reason == XVMC_R_BAD_INDEX ||
	    e->c.rx.reason == XVMC_R_BAD_RECORD)
		sim_fail(s, "end %u: an honest peer was found to lie", e->guest);
}

/* The pages behind the mapping are those the peer writes to. */
static bool mapping_good(const struct sim_end *e)
{
	const struct conn_rx *rx = &e->c.rx;

	return rx->attached && !rx->gone && !rx->kept &&
	       !((const struct sim_map *)rx->map_sd.priv)->hole &&
	       !sim_hv_zombie(&e->sim->hv, &rx->map_sd);
}

void sim_check_eof(struct sim_end *e)
{
	const struct sim_end *p = e->peer;
	uint64_t due = p->killed ? p->truth : p->app.total;

	sim_trace(e->sim, "end %ld reads end of stream at %ld", e->guest,
		  (long)e->app.rcvd, 0, 0, 0);
	/* As the kernel does: a reset is told once, to whoever asks first. */
	if (e->sock->reset && e->app.wr_err)
		return;
	/* Where the hypervisor tells nothing of the dead, a zombie's pages
	 * pass for the truth. */
	if (e->sim->plan.untold && p->killed && !mapping_good(e))
		return;
	if (!e->sim->plan.hostile && !e->sim->excused && e->app.rcvd != due)
		sim_fail(e->sim, "end %u: end of stream at %" PRIu64 ", the %s peer sent %" PRIu64,
			 e->guest, e->app.rcvd, p->killed ? "killed" : "living", due);
	if (e->c.rx.path == XVMC_PATH_RING)
		sim_count(e->sim, SIM_C_EOF_RING);
}

void sim_check_error(struct sim_end *e, int err, bool reading)
{
	const struct sim_end *p = e->peer;
	struct sim *s = e->sim;

	sim_trace(s, reading ? "end %ld reads error %ld" :
			       "end %ld writes: error %ld", e->guest, err, 0, 0, 0);
	if (reading && e->c.rx.reason == XVMC_R_NO_MEMORY)
		s->excused = true;
	if (s->plan.hostile || s->excused)
		return;
	if (!p->killed)
		sim_fail(s, "end %u: error %d, and nobody was killed", e->guest, err);
	if (err != -ECONNRESET && (reading || err != -EPIPE))
		sim_fail(s, "end %u: error %d", e->guest, err);
	if (!reading || e->sock->reset)
		return;
	/* Who is killed with bytes unread resets, as TCP. */
	if (mapping_good(e) && e->c.tx.sent > p->c.rx.rcvd)
		sim_count(s, SIM_C_RESET_UNREAD);
	else if (!mapping_good(e))
		sim_count(s, p->cut ? SIM_C_RESET_REPLAY : SIM_C_RESET_GONE);
	else if (p->cut && p->c.tx.have_share && !p->c.tx.attached)
		/* It had let go of its pages: nobody writes there that it died. */
		sim_count(s, SIM_C_RESET_REPLAY);
	else
		sim_fail(s, "end %u: reset, though all bytes were there", e->guest);
}

void sim_check_over(struct sim *s)
{
	bool killed = false;

	for (unsigned int i = 0; i < SIM_ENDS(s); i++)
		killed |= sim_end(s, i)->killed;
	for (unsigned int i = 0; i < SIM_ENDS(s); i++) {
		struct sim_end *e = sim_end(s, i);

		if (killed || s->plan.hostile || s->excused)
			continue;
		if (e->app.sent != e->app.total || e->app.wr_err ||
		    e->app.rcvd != e->peer->app.total)
			sim_fail(s, "end %u: not all was sent and received", e->guest);
	}
	for (unsigned int g = 0; g < SIM_GUESTS; g++)
		if (sim_hv_held(&s->hv, g) && !(s->plan.hostile && g == 1))
			sim_fail(s, "guest %u: %u shares, mappings or channels left",
				 g, sim_hv_held(&s->hv, g));
}
