/* SPDX-License-Identifier: MIT */
/*
 * The scenario of a run, drawn from its seed: how large everything is, what
 * is short, and which faults strike when and where.
 */
#include <string.h>

#include "sim.h"

static enum sim_fault_kind draw_kind(struct sim_rng *rng)
{
	static const enum sim_fault_kind kinds[] = {
		SIM_F_MIGRATE, SIM_F_MIGRATE, SIM_F_MIGRATE, SIM_F_MIGRATE,
		SIM_F_PREPARE, SIM_F_PREPARE, SIM_F_CANCEL,  SIM_F_RELAY,
		SIM_F_DEMOTE,  SIM_F_DEMOTE,  SIM_F_DEMOTE,  SIM_F_NO_MEMORY,
	};

	return kinds[sim_below(rng, sizeof(kinds) / sizeof(kinds[0]))];
}

static void draw_fault(struct sim_plan *p, struct sim_rng *rng,
		       struct sim_fault *f, uint64_t mean)
{
	f->gap = sim_below(rng, 2 * mean);
	f->guest = p->hostile ? 0 : (unsigned int)sim_below(rng, SIM_GUESTS);
	f->kind = draw_kind(rng);
	if (sim_chance(rng, 700))
		f->when = (enum sim_moment)sim_below(rng, SIM_MOMENTS);
	if (f->kind == SIM_F_MIGRATE)
		f->place = (enum sim_place)sim_below(rng, SIM_PLACES);
	if (f->place == SIM_AT_READ && sim_chance(rng, 700))
		f->when = SIM_WHEN_READING;
	if (f->place == SIM_AT_WRITE && sim_chance(rng, 700))
		f->when = SIM_WHEN_RING;
	if (f->kind == SIM_F_DEMOTE && p->hostile)
		f->kind = SIM_F_MIGRATE;
}

/* f, which is the last one, becomes a death within a replay: mostly of the one
 * that sends it, which shall be no reset, at times of the other one. */
static void draw_cut(struct sim_plan *p, struct sim_rng *rng, struct sim_fault *f)
{
	if (sim_chance(rng, 700)) { /* nothing else before */
		p->nfaults = 2;
		p->fault[1] = *f;
		f = &p->fault[1];
	}
	f->gap = sim_below(rng, 10);
	f->when = sim_chance(rng, 700) ? SIM_WHEN_REPLAY : SIM_WHEN_HALF;
	f[-1] = (struct sim_fault){ .kind = SIM_F_DEMOTE,
				    .gap = f[-1].gap,
				    .guest = f->guest,
				    .when = SIM_WHEN_RING };
	if (p->sndbuf > 2000)
		p->sndbuf = sim_range(rng, 50, 2000);
	if (sim_chance(rng, 300)) {
		f->guest = !f->guest;
		f->when = SIM_WHEN_SKIP;
		p->on_tcp = 1 + f->guest;
		p->eager = true;
		p->lazy = 700;
		return;
	}
	if (sim_chance(rng, 700))
		p->mute = 1 + !f->guest; /* nothing it could leave unread */
	p->drowsy = 900;
}

/* Both are in their rings before they write, and one is killed that has not read
 * all of the little that the other had to say: no write tells of that death. */
static void draw_unread(struct sim_plan *p, struct sim_rng *rng)
{
	p->nfaults = 1;
	p->fault[0] = (struct sim_fault){ .kind = SIM_F_KILL,
					  .guest = (unsigned int)sim_below(rng, SIM_GUESTS),
					  .when = SIM_WHEN_READING };
	p->unread = p->eager = true;
	p->lazy = 900;
	p->write_at = sim_range(rng, 2000000, 8000000);
}

/* Somebody is killed, often soon after one of the two has moved, or left its
 * ring. */
static void draw_kill(struct sim_plan *p, struct sim_rng *rng)
{
	struct sim_fault *f;

	if (sim_chance(rng, 30)) {
		draw_unread(p, rng);
		return;
	}
	if (p->nfaults > 3)
		p->nfaults = (unsigned int)sim_range(rng, 2, 3);
	f = &p->fault[p->nfaults - 1];
	f->kind = SIM_F_KILL;
	f->gap = sim_below(rng, 200);
	f->guest = (unsigned int)sim_below(rng, SIM_GUESTS);
	f->place = (enum sim_place)sim_below(rng, SIM_PLACES);
	f->when = (enum sim_moment)sim_below(rng, SIM_MOMENTS);
	if (p->nfaults < 2 || sim_chance(rng, 300))
		return;
	if (sim_chance(rng, 500)) {
		f->gap = sim_below(rng, 40);
		f[-1].kind = SIM_F_MIGRATE;
		f[-1].place = SIM_AT_STEP;
		f[-1].guest = (unsigned int)sim_below(rng, SIM_GUESTS);
		f[-1].when = sim_chance(rng, 500) ? SIM_WHEN_RING : SIM_WHEN_EXPECT;
		if (sim_chance(rng, 500))
			f->when = SIM_WHEN_ANY;
	} else {
		draw_cut(p, rng, f);
	}
}

static void draw_faults(struct sim_plan *p, struct sim_rng *rng)
{
	uint64_t mean = sim_range(rng, 10, 250);

	if (p->brief || p->slow || sim_chance(rng, 50))
		return;
	p->nfaults = (unsigned int)sim_range(rng, 1, SIM_FAULTS);
	for (unsigned int i = 0; i < p->nfaults; i++)
		draw_fault(p, rng, &p->fault[i], mean);
	if (!p->hostile && !p->write_first && sim_chance(rng, 500))
		draw_kill(p, rng);
}

/* One end closes while the other is on its ring, and much of what it has sent
 * is under way: a reset would be the end of it. */
static void draw_slow(struct sim *s)
{
	struct sim_plan *p = &s->plan;
	struct sim_rng *rng = &s->rng;

	p->slow = p->late_shut = p->eager = true;
	p->on_tcp = 1 + !(s->seed % 2);
	p->sndbuf = sim_range(rng, 5000, 20000);
	p->rcvbuf = sim_range(rng, 100, 1000);
	p->lazy = (unsigned int)sim_range(rng, 100, 800);
	if (sim_chance(rng, 500)) { /* or while an answer waits to be seen */
		p->lose = 1000;
		p->announce_ns = sim_range(rng, 3000000, 30000000);
	}
}

static void draw_sizes(struct sim *s)
{
	struct sim_plan *p = &s->plan;
	struct sim_rng *rng = &s->rng;

	p->nconns = sim_chance(rng, 250) ? 2 : 1;
	p->order[0] = (unsigned int)sim_below(rng, SIM_ORDER_MAX + 1);
	p->order[1] = (unsigned int)sim_below(rng, SIM_ORDER_MAX + 1);
	if (sim_chance(rng, 600))
		p->order[0] = p->order[1] = 0;
	p->sndbuf = sim_range(rng, 100, 20000);
	p->rcvbuf = sim_range(rng, 100, 20000);
	if (sim_chance(rng, 200))
		p->sndbuf = sim_range(rng, 1, 100);
	p->brief = sim_chance(rng, 150);
	if (p->brief)
		p->sndbuf = sim_range(rng, 10, 100);
	p->partial = (unsigned int)sim_below(rng, 500);
	p->ack_old = sim_chance(rng, 500) ? 500 : 0;
	p->untold = sim_chance(rng, 100);
	p->no_counts = sim_chance(rng, 200);
	p->strict = sim_chance(rng, 300);
	p->lose = sim_chance(rng, 150) ? 200 : 0;
	p->lazy = sim_chance(rng, 500) ? (unsigned int)sim_below(rng, 200) : 0;
	if (p->brief)
		p->lazy = (unsigned int)sim_below(rng, 500);
	p->sleepers = sim_chance(rng, 400) ? 300 : 0;
	p->interleave = (unsigned int)sim_below(rng, 300);
	p->announce_ns = sim_range(rng, 200000, 2000000);
	p->stuck_ns = sim_range(rng, 1000000, 20000000);
	p->grants_max = sim_chance(rng, 100) ? (unsigned int)sim_range(rng, 0, 8) : 1000;
	p->ports_max = sim_chance(rng, 100) ? (unsigned int)sim_range(rng, 0, 3) : 100;
	p->hostile = s->seed % 8 == 7;
	p->write_first = !p->hostile && sim_chance(rng, 60);
	if (p->write_first) {
		p->sndbuf = p->rcvbuf = 20000;
		p->write_at = sim_below(rng, 5000000);
	}
	if (p->hostile)
		p->nconns = 1;
	p->eager = sim_chance(rng, 200);
	p->late_shut = !p->hostile && sim_chance(rng, p->brief ? 500 : 100);
	if (!p->hostile && !p->brief && !p->write_first && sim_chance(rng, 60))
		draw_slow(s);
}

static void draw_app(struct sim_end *e, unsigned int ping)
{
	struct sim *s = e->sim;
	struct sim_app *app = &e->app;
	uint64_t ring = (uint64_t)XVMC_PAGE_SIZE << s->plan.order[e->number];

	app->key = sim_rand(&s->rng);
	app->total = sim_chance(&s->rng, 100) ? 0 : sim_size(&s->rng, 12 * ring);
	if (sim_chance(&s->rng, 300))
		app->total = sim_range(&s->rng, ring, 20 * ring);
	if (s->plan.brief) /* ends while TCP is still behind */
		app->total = sim_range(&s->rng, ring / 2, 2 * ring);
	if (app->total > 1000 * s->plan.sndbuf)
		app->total = 1000 * s->plan.sndbuf;
	if (s->plan.slow)
		app->total = sim_range(&s->rng, 1,
				       s->plan.on_tcp == 1 + e->guest ?
					       2 * s->plan.sndbuf : 2000);
	else if (s->plan.on_tcp && s->plan.on_tcp != 1 + e->guest)
		app->total = sim_range(&s->rng, ring / 4, 2 * ring);
	if (s->plan.mute)
		app->total = s->plan.mute == 1 + e->guest ? 0 :
				     sim_range(&s->rng, 3 * ring, 12 * ring);
	if (s->plan.unread)
		app->total = sim_range(&s->rng, 1, ring);
	app->window = UINT64_MAX / 4;
	app->shuts_down = sim_chance(&s->rng, 400);
	if (s->plan.late_shut) /* one shuts down, the other closes */
		app->shuts_down = e->guest == s->seed % 2;
	if (s->plan.write_first)
		app->total = sim_below(&s->rng, 9000);
	/* Request and response, also of single bytes. */
	if (ping) {
		app->window = e->guest ? 0 : ping;
		if (app->total > 150 * (uint64_t)ping)
			app->total = 150 * (uint64_t)ping;
	}
}

static void make_conn(struct sim *s, unsigned int number)
{
	struct sim_conn *cn = &s->conn[number];
	unsigned int ping = !s->plan.hostile && sim_chance(&s->rng, 250) ?
				    (unsigned int)sim_size(&s->rng, 3000) : 0;

	memset(cn, 0, sizeof(*cn));
	sim_tcp_init(&cn->tcp, &s->rng, s->plan.sndbuf, s->plan.rcvbuf);
	cn->tcp.partial = s->plan.partial;
	cn->tcp.no_counts = s->plan.no_counts;
	for (unsigned int g = 0; g < SIM_GUESTS; g++) {
		struct sim_end *e = &cn->end[g];

		e->sim = s;
		e->peer = &cn->end[!g];
		e->sock = &cn->tcp.sock[g];
		e->guest = g;
		e->number = number;
		e->evil = s->plan.hostile && g == 1;
		draw_app(e, s->plan.write_first ? 0 : ping);
		xvmc_conn_init(&e->c, &sim_tcp_ops, e->sock, &s->stats[g]);
		e->c.few = s->seed % 2 ? 1024 : 0;
		e->c.announce_ns = s->plan.announce_ns;
		e->svc.incarnation = 1;
		e->was_expect = XVMC_POS_NONE;
		e->svc.notice_at = UINT64_MAX;
		e->svc.bell_at = UINT64_MAX;
	}
}

void sim_plan_draw(struct sim *s)
{
	memset(&s->plan, 0, sizeof(s->plan));
	draw_sizes(s);
	draw_faults(&s->plan, &s->rng);
	s->hv.lose = s->plan.lose;
	s->hv.ack_old = s->plan.ack_old;
	s->hv.untold = s->plan.untold;
	for (unsigned int g = 0; g < SIM_GUESTS; g++) {
		s->hv.dom[g].grants_max = s->plan.grants_max;
		s->hv.dom[g].ports_max = s->plan.ports_max;
	}
	for (unsigned int i = 0; i < s->plan.nconns; i++)
		make_conn(s, i);
	memset(&s->evil, 0, sizeof(s->evil));
	s->evil.patience = (unsigned int)sim_range(&s->rng, 50, 3000);
}
