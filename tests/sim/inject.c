/* SPDX-License-Identifier: MIT */
/*
 * Faults, and where they strike: between two steps; inside an operation of the
 * TCP socket or a notification; before an access to a shared word; in the
 * middle of a memcpy, by a buffer whose second part faults when it is
 * touched. At the shared words another guest's step may come in between too.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sim.h"

static struct sim *now_running;

static uint8_t *arena_of(struct sim *s, const struct sim_end *e, unsigned int k)
{
	unsigned int i = 2 * e->number + e->guest;

	return s->arena + (size_t)(3 * i + k) * SIM_ARENA;
}

uint8_t *sim_inject_held(struct sim_end *e)
{
	return arena_of(e->sim, e, 2);
}

static void migrate(struct sim *s, const struct sim_fault *f)
{
	static const enum sim_cover where[SIM_PLACES] = {
		SIM_C_MIG_STEP, SIM_C_MIG_TCP,   SIM_C_MIG_NOTIFY,
		SIM_C_MIG_READ, SIM_C_MIG_WRITE, SIM_C_MIG_WORD,
	};
	struct sim_relay *rl = &s->relay;
	unsigned int host = (unsigned int)sim_below(&s->rng, 2);

	sim_count(s, where[f->place]);
	sim_trace(s, "guest %ld migrates to host %ld (place %ld)", f->guest, host,
		  f->place, 0, 0);
	sim_hv_migrate(&s->hv, f->guest, host);
	rl->board[f->guest].at = s->now + 1 + sim_below(&s->rng, 5000000);
	for (unsigned int i = f->guest; i < SIM_ENDS(s); i += 2)
		sim_end(s, i)->svc.notice_at = s->now + 1 + sim_below(&s->rng, 3000000);
}

static uint64_t accepted(const struct conn_t *c)
{
	/* It may have died between copying, publishing and counting. */
	return c->tx.path == XVMC_PATH_RING ? c->tx.s.s->prod : c->tx.sent;
}

static void kill_guest(struct sim *s, unsigned int guest)
{
	sim_trace(s, "the process in guest %ld is killed", guest, 0, 0, 0, 0);
	if (s->hv.dom[guest].life > 1)
		sim_count(s, SIM_C_KILL_MOVED);
	for (unsigned int i = guest; i < SIM_ENDS(s); i += 2) {
		struct sim_end *e = sim_end(s, i);
		const struct conn_tx *tx = &e->c.tx;
		bool reset = e->sock->reset;

		if (e->closed)
			continue;
		e->killed = true;
		e->truth = accepted(&e->c);
		e->cut = tx->head_off == tx->head_len && tx->replay_pos < tx->replay_end;
		sim_tcp_close(e->sock);
		sim_count(s, e->sock->reset && !reset ? SIM_C_KILL_RST : SIM_C_KILL_FIN);
		s->relay.inbox[e->number][guest].n = 0;
		sim_relay_unregister(e);
	}
	sim_hv_kill(&s->hv, guest);
	s->relay.board[guest].at = s->now + 1 + sim_below(&s->rng, 5000000);
}

static void demote(struct sim *s, unsigned int guest)
{
	struct sim_end *e = sim_end(s, guest + 2 * (unsigned int)sim_below(&s->rng, s->plan.nconns));

	if (e->killed || e->closed || e->app.closing)
		return;
	if (sim_chance(&s->rng, 500)) {
		sim_service_drop(e, XVMC_R_LRU, true);
		return;
	}
	if (e->c.tx.announced)
		sim_count(s, SIM_C_LEAVE_ANNOUNCED);
	xvmc_conn_tx_leave(&e->c, XVMC_R_DEMOTED, sim_chance(&s->rng, 500));
	sim_check_end(e, "demotion");
}

void sim_inject_do(struct sim *s, const struct sim_fault *f)
{
	switch (f->kind) {
	case SIM_F_MIGRATE:
		migrate(s, f);
		break;
	case SIM_F_PREPARE:
	case SIM_F_CANCEL:
		sim_relay_prepare(s, f);
		break;
	case SIM_F_KILL:
		kill_guest(s, f->guest);
		break;
	case SIM_F_RELAY:
		sim_relay_kill(s);
		break;
	case SIM_F_DEMOTE:
		demote(s, f->guest);
		break;
	case SIM_F_NO_MEMORY:
		s->no_memory = 1 + (unsigned int)sim_below(&s->rng, 3);
		break;
	}
}

/* Inside a call of s->actor. */
static void strike(struct sim *s, bool may_end)
{
	const struct sim_fault *f = s->armed;

	s->armed = NULL;
	if (f->kind != SIM_F_KILL) {
		migrate(s, f);
		return;
	}
	for (unsigned int i = 0; i < SIM_ENDS(s); i++)
		may_end &= !sim_end(s, i)->sock->inside;
	if (!may_end || s->nested) {
		s->late = f;
		return;
	}
	sim_count(s, SIM_C_KILL_INSIDE);
	if (f->guest != s->actor->guest) {
		kill_guest(s, f->guest);
		return;
	}
	s->late = f;
	siglongjmp(s->killed, 1);
}

static bool armed_at(const struct sim *s, enum sim_place place)
{
	return s->armed && s->armed->place == place && s->actor;
}

static void on_tcp(void *arg, unsigned int side, bool before)
{
	struct sim *s = arg;

	if (armed_at(s, SIM_AT_TCP) && sim_chance(&s->rng, 300))
		strike(s, before);
}

static void on_notify(void *arg, unsigned int guest)
{
	struct sim *s = arg;

	if (armed_at(s, SIM_AT_NOTIFY))
		strike(s, true);
}

/* Each access to a shared word passes here; see sim-atomic.h. */
void sim_word(void);
void sim_word(void)
{
	struct sim *s = now_running;
	struct sim_end *actor;

	if (!s || !s->actor || !s->word_skip || --s->word_skip)
		return;
	if (armed_at(s, SIM_AT_WORD)) {
		strike(s, true);
		return;
	}
	if (s->nested || s->armed)
		return;
	actor = s->actor;
	s->nested = true;
	if (s->word_answer) {
		s->actor = actor->peer;
		sim_service_answer(actor->peer);
	}
	for (uint64_t n = sim_range(&s->rng, 1, 3); n; n--)
		sim_step_any(s, !actor->guest);
	s->nested = false;
	s->actor = actor;
	sim_count(s, SIM_C_INTERLEAVED);
}

void sim_inject_weave(struct sim *s)
{
	bool word = s->armed && s->armed->place == SIM_AT_WORD;

	s->word_skip = 0;
	s->word_answer = false;
	if (word || sim_chance(&s->rng, s->plan.interleave))
		s->word_skip = (unsigned int)sim_range(&s->rng, 1, 12);
}

/* ---- in the middle of a memcpy ---- */

/* How many bytes may be copied before it strikes. Where a read will take two
 * pieces of a ring, mostly in the second. */
static size_t guard_offset(struct sim_end *e, enum sim_place place, size_t n)
{
	const struct recver_t *r = &e->c.rx.r;
	size_t first, all;

	if (place == SIM_AT_READ && e->c.rx.path == XVMC_PATH_RING && r->size &&
	    e->peer->app.sent > r->cons && sim_chance(&e->sim->rng, 800)) {
		first = r->size - (r->cons & (r->size - 1));
		all = e->peer->app.sent - r->cons;
		all = all < n ? all : n;
		if (all > first + 1)
			return sim_range(&e->sim->rng, first + 1, all - 1);
	}
	return sim_range(&e->sim->rng, 1, n - 1);
}

uint8_t *sim_inject_buffer(struct sim_end *e, enum sim_place place, size_t n)
{
	struct sim *s = e->sim;
	uint8_t *base = arena_of(s, e, place == SIM_AT_WRITE), *buf = base;

	if (!armed_at(s, place) || s->nested || n < 2) {
		buf += sim_below(&s->rng, 64);
		if (place == SIM_AT_WRITE)
			sim_fill(e->app.key, e->app.sent, buf, n);
		return buf;
	}
	s->guard = base + SIM_ARENA / 2;
	buf = s->guard - guard_offset(e, place, n);
	if (place == SIM_AT_WRITE)
		sim_fill(e->app.key, e->app.sent, buf, n);
	mprotect(s->guard, SIM_ARENA / 2, PROT_NONE);
	return buf;
}

void sim_inject_unguard(struct sim *s)
{
	if (s->guard)
		mprotect(s->guard, SIM_ARENA / 2, PROT_READ | PROT_WRITE);
	s->guard = NULL;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	struct sim *s = now_running;
	const uint8_t *at = info->si_addr;

	if (sig != SIGSEGV || !s || !s->guard || at < s->guard ||
	    at >= s->guard + SIM_ARENA / 2)
		sim_fail(s, sig == SIGALRM ? "a call does not return" :
					     "a crash, signal %d", sig);
	sim_inject_unguard(s);
	if (s->armed)
		strike(s, true);
}

int sim_inject_open(struct sim *s)
{
	struct sigaction act = { .sa_sigaction = on_fault,
				 .sa_flags = SA_SIGINFO | SA_NODEFER };
	size_t len = (size_t)SIM_ARENA * 3 * 2 * SIM_CONNS;
	void *arena = mmap(NULL, len, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (arena == MAP_FAILED)
		return -1;
	s->arena = arena;
	now_running = s;
	sigaction(SIGSEGV, &act, NULL);
	sigaction(SIGBUS, &act, NULL);
	sigaction(SIGABRT, &act, NULL);
	sigaction(SIGFPE, &act, NULL);
	sigaction(SIGALRM, &act, NULL);
	return 0;
}

/* ---- when ---- */

void sim_inject_start(struct sim *s)
{
	s->nfaults = 0;
	s->armed = s->late = NULL;
	s->actor = NULL;
	s->nested = false;
	s->word_skip = s->no_memory = 0;
	s->wait_step = s->last_step = 0;
	s->hv.hook = on_notify;
	s->hv.hook_arg = s;
	for (unsigned int i = 0; i < s->plan.nconns; i++) {
		s->conn[i].tcp.hook = on_tcp;
		s->conn[i].tcp.hook_arg = s;
	}
}

bool sim_inject_over(const struct sim *s)
{
	return s->nfaults == s->plan.nfaults && !s->armed && !s->late &&
	       s->relay.up && !s->relay.prep;
}

static bool is_move(const struct sim_fault *f)
{
	return f && (f->kind == SIM_F_MIGRATE || f->kind == SIM_F_PREPARE);
}

bool sim_inject_moves(const struct sim *s)
{
	bool any = is_move(s->armed) || is_move(s->late) || is_move(s->relay.prep);

	for (unsigned int i = s->nfaults; i < s->plan.nfaults; i++)
		any |= is_move(&s->plan.fault[i]);
	return any;
}

static bool in_moment(const struct sim_end *e, enum sim_moment when)
{
	const struct conn_tx *tx = &e->c.tx;
	const struct conn_rx *rx = &e->c.rx;

	switch (when) {
	case SIM_WHEN_ASKED:
		return tx->announced;
	case SIM_WHEN_EXPECT:
		return rx->expect != XVMC_POS_NONE;
	case SIM_WHEN_RING:
		return tx->path == XVMC_PATH_RING && tx->sent > e->peer->app.rcvd;
	case SIM_WHEN_READING:
		return rx->path == XVMC_PATH_RING && rx->attached &&
		       !rx->gone && e->peer->app.sent > rx->rcvd;
	case SIM_WHEN_HALF:
		return tx->head_off && tx->head_off < tx->head_len;
	case SIM_WHEN_REPLAY:
		return tx->replay_pos < tx->replay_end;
	case SIM_WHEN_SKIP:
		return rx->skip || rx->pull;
	default:
		return true;
	}
}

static bool come(struct sim *s, const struct sim_fault *f)
{
	if (s->step < s->last_step + f->gap)
		return false;
	if (!s->wait_step)
		s->wait_step = s->step;
	if (s->step > s->wait_step + 1000)
		return true; /* it does not seem to come up */
	for (unsigned int i = f->guest; i < SIM_ENDS(s); i += 2) {
		const struct sim_end *e = sim_end(s, i);

		if (!e->killed && !e->closed && in_moment(e, f->when))
			return true;
	}
	return false;
}

void sim_inject_due(struct sim *s)
{
	const struct sim_fault *f;

	if (s->late) {
		f = s->late;
		s->late = NULL;
		sim_inject_do(s, f);
	}
	if (s->armed && s->step > s->armed_step + 200) {
		f = s->armed; /* its place did not come up */
		s->armed = NULL;
		sim_inject_do(s, &(struct sim_fault){ .kind = f->kind,
						      .guest = f->guest });
	}
	if (s->armed || s->nfaults == s->plan.nfaults ||
	    !come(s, &s->plan.fault[s->nfaults]))
		return;
	s->wait_step = 0;
	s->last_step = s->step;
	f = &s->plan.fault[s->nfaults++];
	sim_hv_snapshot(&s->hv, (unsigned int)sim_below(&s->rng, SIM_GUESTS));
	if (f->place == SIM_AT_STEP) {
		sim_inject_do(s, f);
	} else {
		s->armed = f;
		s->armed_step = s->step;
	}
}
