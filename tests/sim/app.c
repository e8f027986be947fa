/* SPDX-License-Identifier: MIT */
/*
 * The application at one end: a writer and a reader, as two threads would be.
 * They sleep as lib/socket lets them sleep: on the TCP socket, on the
 * doorbell of their direction, and until an event says "look again". A wake-up
 * that the protocol owes them and does not give is a deadlock here.
 */
#include <errno.h>

#include "sim.h"

static uint64_t bell_of(const struct xvmc_chan *chan, bool have)
{
	return have ? sim_hv_signals(chan) : 0;
}

static uint64_t rd_bell(const struct sim_end *e)
{
	return bell_of(&e->c.rx.chan, e->c.rx.have_chan);
}

static uint64_t wr_bell(const struct sim_end *e)
{
	return bell_of(&e->c.tx.chan, e->c.tx.have_chan);
}

static bool in_hole(const struct sim_end *e)
{
	return e->c.rx.attached &&
	       ((const struct sim_map *)e->c.rx.map_sd.priv)->hole;
}

/* Only where a doorbell cannot have been missed for good reasons. */
static bool bells_work(const struct sim_end *e)
{
	return !e->sim->nested && !e->sim->plan.lose && !e->peer->killed &&
	       !e->peer->closed && !e->sim->plan.hostile;
}

/* The reader sleeps on its ring. Then there must be nothing to read. */
static void check_rd_sleep(const struct sim_end *e)
{
	const struct conn_rx *rx = &e->c.rx;

	if (!bells_work(e) || !rx->attached || in_hole(e) ||
	    sim_hv_zombie(&e->sim->hv, &rx->map_sd))
		return;
	/* The sender has been told that it is alone with its pages, one of which the
	 * reader may have yet, if there was no memory for more: what it says from then
	 * on comes by TCP. */
	if (rx->kept)
		return;
	if (rx->r.r->data_at && rx->r.s->prod >= rx->r.r->data_at)
		sim_fail(e->sim, "end %u: a reader sleeps over its bytes", e->guest);
}

/* The writer sleeps on its ring. Then there must be no room. */
static void check_wr_sleep(const struct sim_end *e)
{
	const struct conn_tx *tx = &e->c.tx;
	const struct sim_share *sh = tx->share_r.priv;

	if (!bells_work(e) || tx->path != XVMC_PATH_RING ||
	    sh->life != sim_dom(e)->life || in_hole(e->peer))
		return;
	if (xvmc_conn_tx_pending(&e->c))
		return; /* its record goes first */
	if (tx->s.r->cons + tx->s.size >= tx->s.prod + e->app.wr_want)
		sim_fail(e->sim, "end %u: a writer sleeps over its room", e->guest);
}

/* Cuts a buffer into pieces, for calls with several. */
static size_t cut(struct sim *s, uint8_t *buf, size_t n, struct iovec vec[4])
{
	size_t cnt = 0;

	while (n) {
		size_t k = cnt == 3 || sim_chance(&s->rng, 600) ?
				   n : sim_below(&s->rng, n + 1);

		vec[cnt++] = (struct iovec){ .iov_base = buf, .iov_len = k };
		buf += k;
		n -= k;
	}
	return cnt;
}

/* ---- reading ---- */

/* Nothing left that could come. */
static bool rd_complete(const struct sim_end *e)
{
	return !e->app.shuts_down && !e->sim->plan.hostile &&
	       e->app.rcvd == e->peer->app.total;
}

static bool rd_awake(const struct sim_end *e)
{
	const struct sim_app *app = &e->app;
	uint64_t now = e->sim->now;

	if (app->rd == SIM_AWAKE || app->rd == SIM_HOLDING)
		return now >= app->rd_until;
	if (sim_tcp_readable(e->sock))
		return true;
	if (app->rd == SIM_IN_KERNEL)
		return false;
	if (rd_bell(e) != app->rd_bell || e->rx_changed != app->rd_changed ||
	    now >= app->rd_until)
		return true;
	if (app->rd == SIM_ON_RING)
		check_rd_sleep(e);
	return false;
}

/* No rings yet, and no thought of them: the thread goes into the kernel. */
static bool enter_kernel(struct sim_end *e)
{
	const struct conn_rx *rx = &e->c.rx;

	if (rx->have_map_r || rx->path != XVMC_PATH_TCP || xvmc_conn_rx_early(&e->c) ||
	    rx->skip || rx->pull || rx->expect != XVMC_POS_NONE || rx->err ||
	    !sim_chance(&e->sim->rng, e->sim->plan.sleepers))
		return false;
	sim_count(e->sim, SIM_C_TOOK);
	e->app.rd = SIM_IN_KERNEL;
	return true;
}

static void finish_reading(struct sim_end *e, int err)
{
	e->app.rd = SIM_AWAKE;
	e->app.rd_done = true;
	e->app.rd_err = err;
}

/* Comes back from the kernel with bytes, and only later counts them. */
static void leave_kernel(struct sim_end *e, uint8_t *buf)
{
	struct sim *s = e->sim;
	size_t n = sim_size(&s->rng, SIM_ARENA / 2);
	ssize_t r = sim_tcp_recv(e->sock, buf, n, false);

	if (r == -EAGAIN)
		return;
	if (r < 0) {
		sim_check_error(e, (int)r, true);
		finish_reading(e, (int)r);
	} else if (r == 0) {
		e->app.rd = SIM_AWAKE; /* xvmc_conn_read says it again */
	} else {
		e->app.held = (size_t)r;
		e->app.rd = SIM_HOLDING;
		e->app.rd_until = s->now + sim_below(&s->rng, 300000);
	}
}

static void count_held(struct sim_end *e, const uint8_t *buf)
{
	struct iovec vec[4];
	size_t n = e->app.held;
	size_t cnt = cut(e->sim, (uint8_t *)(uintptr_t)buf, n, vec);
	ssize_t r = xvmc_conn_rx_took(&e->c, vec, cnt, n);

	sim_trace(e->sim, "end %ld took %ld, keeps %ld", e->guest, (long)n, (long)r, 0, 0);
	e->app.rd = SIM_AWAKE;
	e->app.held = 0;
	if (r > 0) {
		sim_compare(e, buf, (size_t)r, "took");
		e->app.rcvd += (uint64_t)r;
	}
	if ((r < 0 ? 0 : (size_t)r) < n)
		sim_count(e->sim, SIM_C_TOOK_RECORD);
	sim_check_end(e, "took");
}

static void fall_asleep(struct sim_end *e)
{
	struct sim_app *app = &e->app;
	struct conn_rx *rx = &e->c.rx;

	app->rd_until = e->sim->plan.lose ? e->sim->now + 5000000 : UINT64_MAX;
	/* What comes from here on wakes us; then arm, then look again. */
	app->rd_bell = rd_bell(e);
	app->rd_changed = e->rx_changed;
	app->rd = SIM_ON_TCP;
	if (rx->path != XVMC_PATH_RING || !rx->attached || rx->gone)
		return;
	if (xvmc_conn_rx_arm(&e->c, 1)) {
		sim_count(e->sim, SIM_C_ARMED_LATE);
		app->rd = SIM_AWAKE;
		app->rd_until = 0;
	} else {
		app->rd = SIM_ON_RING;
	}
}

static void got(struct sim_end *e, const uint8_t *buf, size_t n, bool peek)
{
	struct sim *s = e->sim;
	uint64_t rest;

	sim_compare(e, buf, n, peek ? "peek" : "read");
	if (peek)
		return;
	e->app.rcvd += n;
	if (!sim_chance(&s->rng, s->plan.lazy))
		return;
	/* A reader that has other things to do, at times for long. */
	rest = sim_chance(&s->rng, 100) ? 40000000 : 500000;
	e->app.rd_until = s->now + sim_below(&s->rng, rest);
}

static void read_once(struct sim_end *e)
{
	struct sim *s = e->sim;
	size_t n = sim_size(&s->rng, SIM_ARENA / 2);
	bool peek = sim_chance(&s->rng, 100);
	struct conn_rx *rx = &e->c.rx;
	bool ring = rx->path == XVMC_PATH_RING, gone = rx->gone;
	bool hole = ring && in_hole(e);
	uint64_t size = rx->r.size;
	uint8_t *buf = sim_inject_buffer(e, SIM_AT_READ, n);
	struct iovec vec[4];
	size_t cnt = cut(s, buf, n, vec);
	struct xvmc_iov it = xvmc_iov_make(vec, cnt);
	ssize_t r = xvmc_conn_read(&e->c, &it, peek);

	sim_inject_unguard(s);
	sim_trace(s, "end %ld reads %ld: %ld", e->guest, (long)n, (long)r, 0, 0);
	if (r > 0) {
		if ((size_t)r > n || it.left != n - (size_t)r)
			sim_fail(s, "end %u: a read of %zu gave %zd", e->guest, n, r);
		if (ring && peek)
			sim_count(s, SIM_C_PEEK_RING);
		if (ring && size && (e->app.rcvd & (size - 1)) + (size_t)r > size)
			sim_count(s, SIM_C_WRAP);
		got(e, buf, (size_t)r, peek);
	}
	if (ring && !gone && rx->gone)
		sim_count(s, SIM_C_GONE_COPY);
	if (ring && !hole && r > 0 && !peek && in_hole(e) && (size_t)r < n &&
	    rx->r.prod > rx->r.cons)
		sim_count(s, SIM_C_GONE_PART);
	sim_check_end(e, "read");
	if (r == 0) {
		sim_check_eof(e);
		finish_reading(e, 0);
	} else if (r == -EAGAIN) {
		fall_asleep(e);
	} else if (r < 0) {
		sim_check_error(e, (int)r, true);
		finish_reading(e, (int)r);
	}
}

bool sim_reader_step(struct sim_end *e)
{
	struct sim *s = e->sim;
	struct sim_app *app = &e->app;

	if (app->rd_done || app->closing || !rd_awake(e) ||
	    (s->plan.write_first && !app->wr_done))
		return false;
	if (app->rd == SIM_HOLDING) {
		count_held(e, sim_inject_held(e));
		return true;
	}
	if (app->rd == SIM_IN_KERNEL) {
		leave_kernel(e, sim_inject_held(e));
		return true;
	}
	app->rd = SIM_AWAKE;
	app->rd_until = 0;
	if (rd_complete(e)) {
		finish_reading(e, 0);
		return true;
	}
	if (sim_tcp_readable(e->sock) && sim_chance(&s->rng, s->plan.drowsy ? 50 : 500)) {
		xvmc_conn_rx_pump(&e->c);
		sim_check_end(e, "a reader's pump");
	}
	if (!enter_kernel(e))
		read_once(e);
	return true;
}

/* ---- writing ---- */

/* How far it may write by now: some programs wait for answers. */
static uint64_t allowed(const struct sim_end *e)
{
	const struct sim_app *app = &e->app;

	if (app->rcvd == e->peer->app.total || app->rd_done ||
	    app->window + app->rcvd > app->total)
		return app->total;
	return app->window + app->rcvd;
}

static bool wr_awake(const struct sim_end *e)
{
	const struct sim_app *app = &e->app;

	if (app->wr == SIM_AWAKE || e->tx_changed != app->wr_changed)
		return true;
	if (app->wr == SIM_ON_TCP)
		return sim_tcp_writable(e->sock);
	if (wr_bell(e) != app->wr_bell)
		return true;
	if (app->wr == SIM_ON_RING)
		check_wr_sleep(e);
	return e->sim->now >= app->wr_until;
}

static void wait_for_room(struct sim_end *e)
{
	struct sim *s = e->sim;
	struct sim_app *app = &e->app;
	struct conn_tx *tx = &e->c.tx;
	uint64_t want = sim_chance(&s->rng, 500) ? 1 : tx->s.size;

	app->wr_want = want < tx->s.size / 2 ? want : tx->s.size / 2;
	app->wr_bell = wr_bell(e);
	app->wr_changed = e->tx_changed;
	app->wr_until = UINT64_MAX;
	app->wr = SIM_ON_TCP;
	if (tx->path != XVMC_PATH_RING)
		return;
	if (!app->full_since)
		app->full_since = s->now;
	if (s->now - app->full_since >= s->plan.stuck_ns) {
		sim_count(s, SIM_C_STUCK);
		app->full_since = 0;
		app->wr = SIM_AWAKE;
		xvmc_conn_tx_leave(&e->c, XVMC_R_STUCK, false);
		sim_check_end(e, "leaving a stuck ring");
		return;
	}
	if (xvmc_conn_tx_arm(&e->c, want)) {
		sim_count(s, SIM_C_ARMED_LATE);
		app->wr = SIM_AWAKE;
		return;
	}
	sim_count(s, SIM_C_FULL);
	app->wr = SIM_ON_RING;
	app->wr_until = app->full_since + s->plan.stuck_ns;
}

static void write_once(struct sim_end *e, uint64_t may)
{
	struct sim *s = e->sim;
	struct sim_app *app = &e->app;
	size_t n = sim_size(&s->rng, may < SIM_ARENA / 2 ? may : SIM_ARENA / 2);
	uint8_t *buf = sim_inject_buffer(e, SIM_AT_WRITE, n);
	struct iovec vec[4];
	size_t cnt = cut(s, buf, n, vec);
	struct xvmc_iov it = xvmc_iov_make(vec, cnt);
	ssize_t r = xvmc_conn_write(&e->c, &it, 0);

	sim_inject_unguard(s);
	sim_trace(s, "end %ld writes %ld: %ld (tx path %ld)", e->guest, (long)n,
		  (long)r, e->c.tx.path, 0);
	if (r == 0 || r > (ssize_t)n)
		sim_fail(s, "end %u: a write of %zu gave %zd", e->guest, n, r);
	if (r > 0) {
		app->sent += (uint64_t)r;
		app->full_since = 0;
	}
	sim_check_end(e, "write");
	if (r == -EAGAIN) {
		wait_for_room(e);
	} else if (r == -EBUSY) {
		app->wr_bell = wr_bell(e);
		app->wr_changed = e->tx_changed;
		app->wr_until = s->now + s->plan.announce_ns;
		app->wr = SIM_ON_SWITCH;
	} else if (r < 0) {
		sim_check_error(e, (int)r, false);
		app->wr_err = (int)r;
	}
}

/* A half-close that meets the peer's close: both at once, or a little later. */
static bool puts_off(const struct sim_end *e)
{
	const struct sim_end *p = e->peer;

	if (!e->sim->plan.late_shut || !e->app.shuts_down || p->app.shuts_down ||
	    e->app.wr_err || e->app.rd_done || p->killed || p->closed)
		return false;
	return !p->app.closing;
}

static void finish_writing(struct sim_end *e)
{
	struct sim_app *app = &e->app;

	app->wr_done = true;
	if (!app->shuts_down || app->wr_err)
		return;
	sim_trace(e->sim, "end %ld shuts down at %ld", e->guest, (long)app->sent, 0, 0, 0);
	if (e->c.tx.path == XVMC_PATH_RING)
		sim_count(e->sim, SIM_C_SHUTDOWN);
	if (e->c.tx.announced)
		sim_count(e->sim, SIM_C_LEAVE_ANNOUNCED);
	if (e->peer->app.closing)
		sim_count(e->sim, SIM_C_SHUT_LATE);
	xvmc_conn_tx_leave(&e->c, XVMC_R_SHUTDOWN, false);
	e->c.tx.shut = e->c.tx.fin_owed = true;
	xvmc_conn_tx_flush(&e->c);
	sim_check_end(e, "shutdown");
}

bool sim_writer_step(struct sim_end *e)
{
	struct sim_app *app = &e->app;
	uint64_t may = allowed(e) - app->sent;

	if (app->wr_done || app->closing || e->sim->now < e->sim->plan.write_at)
		return false;
	if (app->sent == app->total || app->wr_err) {
		if (puts_off(e))
			return false;
		/* Now, or any time after. */
		if (!e->sim->plan.late_shut ||
		    sim_chance(&e->sim->rng, e->sim->plan.slow ? 30 : 200))
			finish_writing(e);
		return true;
	}
	if (!may || !wr_awake(e))
		return false;
	app->wr = SIM_AWAKE;
	write_once(e, may);
	return true;
}

uint64_t sim_app_timer(const struct sim_end *e)
{
	const struct sim_app *app = &e->app;
	uint64_t at = UINT64_MAX;

	if (!app->rd_done && !app->closing && app->rd_until && app->rd != SIM_IN_KERNEL)
		at = app->rd_until;
	if (app->wr_done || app->closing)
		return at;
	if (e->sim->now < e->sim->plan.write_at && e->sim->plan.write_at < at)
		at = e->sim->plan.write_at;
	if (app->wr != SIM_AWAKE && app->wr_until < at)
		at = app->wr_until;
	return at;
}
