/* SPDX-License-Identifier: MIT */
/*
 * One run: who makes the next step, until all is closed. Time is virtual: it
 * creeps with every step, and jumps when nobody can do anything.
 */
#include <string.h>
#include <unistd.h>

#include "sim.h"

#define STEPS_MAX 400000u

enum { ACT_READ, ACT_WRITE, ACT_SERVE, ACT_DELIVER, ACTS };

static bool act(struct sim *s, struct sim_end *e, unsigned int what)
{
	bool did = false;

	if (what == ACT_DELIVER) {
		struct sim_tcp *tcp = &s->conn[e->number].tcp;

		if (!sim_tcp_in_flight(tcp, e->guest))
			return false;
		sim_tcp_deliver(tcp, e->guest, sim_chance(&s->rng, 500));
		return true;
	}
	if (e->killed || e->closed)
		return false;
	s->actor = e;
	if (e->evil)
		did = what == ACT_SERVE && sim_evil_step(e);
	else if (what == ACT_READ)
		did = sim_reader_step(e);
	else if (what == ACT_WRITE)
		did = sim_writer_step(e);
	else
		did = sim_service_step(e);
	s->actor = NULL;
	return did;
}

bool sim_step_any(struct sim *s, int guest)
{
	unsigned int n = SIM_ENDS(s) * ACTS;
	unsigned int first = (unsigned int)sim_below(&s->rng, n);

	for (unsigned int i = 0; i < n; i++) {
		unsigned int k = (first + i * 5) % n;
		struct sim_end *e = sim_end(s, k / ACTS);

		if (guest >= 0 && (e->guest != (unsigned int)guest || k % ACTS == ACT_DELIVER))
			continue;
		if (act(s, e, k % ACTS))
			return true;
	}
	return false;
}

static bool over(const struct sim *s)
{
	for (unsigned int i = 0; i < SIM_ENDS(s); i++) {
		const struct sim_end *e = &s->conn[i / 2].end[i % 2];

		if (!e->killed && !e->closed && !e->evil)
			return false;
	}
	return true;
}

/* Nobody can do anything now. False: nor ever. */
static bool let_time_pass(struct sim *s, bool dying)
{
	uint64_t at = dying ? s->now + 1000 : sim_relay_timer(s);

	for (unsigned int i = 0; i < SIM_ENDS(s); i++) {
		const struct sim_end *e = sim_end(s, i);
		uint64_t app, svc;

		if (e->killed || e->closed || e->evil)
			continue;
		app = sim_app_timer(e);
		svc = sim_service_timer(e);
		at = app < at ? app : at;
		at = svc < at ? svc : at;
	}
	if (at == UINT64_MAX && sim_inject_over(s))
		return false;
	if (at != UINT64_MAX && at > s->now)
		s->now = at;
	else
		s->now += 1000;
	return true;
}

static void step(struct sim *s)
{
	bool dying;

	s->step++;
	s->now += sim_below(&s->rng, 20000);
	dying = sim_hv_settle(&s->hv);
	sim_inject_due(s);
	sim_inject_weave(s);
	if (sim_chance(&s->rng, 30) && sim_relay_step(s))
		return;
	if (sim_step_any(s, -1) || sim_relay_step(s))
		return;
	if (!let_time_pass(s, dying))
		sim_fail(s, "everybody sleeps, nobody will wake");
}

static void add_stats(struct sim *s)
{
	static const struct { enum xvmc_stat stat; enum sim_cover cover; } both[] = {
		{ XVMC_S_TO_RING, SIM_C_TO_RING },
		{ XVMC_S_TO_TCP, SIM_C_TO_TCP },
		{ XVMC_S_RING_RX_BYTES, SIM_C_RING_BYTES },
		{ XVMC_S_TCP_RX_BYTES, SIM_C_TCP_BYTES },
		{ XVMC_S_REPLAY_BYTES, SIM_C_REPLAY_BYTES },
		{ XVMC_S_ANN_CANCELLED, SIM_C_CANCELLED },
	};
	const struct xvmc_stats_page *st = &s->stats[0];

	for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++)
		s->cover[both[i].cover] += s->stats[0].value[both[i].stat] +
					   s->stats[1].value[both[i].stat];
	s->cover[SIM_C_ALLOC_FAILED] += s->hv.failed;
	s->cover[SIM_C_BELL_LOST] += s->hv.lost;
	if (!s->plan.hostile)
		return;
	s->cover[SIM_C_HOSTILE_RECORD] += st->value[XVMC_S_REASON0 + XVMC_R_BAD_RECORD];
	s->cover[SIM_C_HOSTILE_INDEX] += st->value[XVMC_S_REASON0 + XVMC_R_BAD_INDEX];
	s->cover[SIM_C_HOSTILE_RING] += st->value[XVMC_S_TO_RING];
}

static void finish(struct sim *s)
{
	sim_check_over(s);
	add_stats(s);
	for (unsigned int i = 0; i < SIM_ENDS(s); i++)
		xvmc_conn_deinit(&sim_end(s, i)->c);
}

void sim_run(struct sim *s, uint64_t seed, uint64_t fail_at)
{
	s->seed = seed;
	s->rng.state = sim_mix(seed ^ 0x5eed5eed5eed5eedu);
	s->now = 1000000;
	s->step = s->ntrace = 0;
	s->excused = false;
	memset(s->stats, 0, sizeof(s->stats));
	sim_hv_reset(&s->hv, &s->rng);
	sim_plan_draw(s);
	s->plan.fail_at = s->hv.fail_at = fail_at;
	sim_relay_start(s);
	sim_inject_start(s);
	alarm(30);
	while (!over(s)) {
		if (s->step > STEPS_MAX)
			sim_fail(s, "it does not come to an end");
		if (sigsetjmp(s->killed, 0) == 0) {
			step(s);
		} else {
			sim_inject_unguard(s);
			s->actor = NULL;
		}
	}
	alarm(0);
	finish(s);
}
