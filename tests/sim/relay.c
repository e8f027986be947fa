/* SPDX-License-Identifier: MIT */
/*
 * The two xvmcd, and the world they publish, as one: who is registered, who
 * is co-resident as far as anybody knows by now, and the set-up messages on
 * their way. It may be killed at any step: then all it held is lost.
 */
#include <string.h>

#include "sim.h"

static struct sim_inbox *inbox_of(struct sim_end *e)
{
	return &e->sim->relay.inbox[e->number][e->guest];
}

static void put(struct sim_end *to, const struct sim_msg *msg)
{
	struct sim_inbox *in = inbox_of(to);

	if (to->killed || to->closed || in->n == SIM_INBOX)
		return;
	in->msg[(in->head + in->n++) % SIM_INBOX] = *msg;
}

bool sim_relay_take(struct sim_end *e, struct sim_msg *ret_msg)
{
	struct sim_inbox *in = inbox_of(e);

	if (!in->n)
		return false;
	*ret_msg = in->msg[in->head];
	in->head = (in->head + 1) % SIM_INBOX;
	in->n--;
	return true;
}

bool sim_relay_send(struct sim_end *e, const void *body, size_t len)
{
	struct sim *s = e->sim;
	struct sim_conn *cn = &s->conn[e->number];
	struct sim_msg msg = { .kind = SIM_M_RELAYED, .link = e->svc.link, .len = len };

	if (!s->relay.up || !cn->link || cn->link != e->svc.link) {
		sim_count(s, SIM_C_MSG_LOST);
		return false;
	}
	memcpy(msg.body.raw, body, len);
	put(e->peer, &msg);
	return true;
}

void sim_relay_register(struct sim_end *e)
{
	struct sim_conn *cn = &e->sim->conn[e->number];

	sim_trace(e->sim, "end %ld registers, link %ld", e->guest, (long)e->svc.link, 0, 0, 0);
	e->svc.registered = true;
	e->svc.gen = e->sim->relay.gen;
	cn->reg[e->guest] = true;
	cn->told[e->guest] = e->svc.link;
}

/* The link has ended: each living end is told of it. */
static void unlink_conn(struct sim *s, struct sim_conn *cn)
{
	struct sim_msg msg = { .kind = SIM_M_UNLINKED, .link = cn->link };

	if (!cn->link)
		return;
	cn->link = 0;
	for (unsigned int i = 0; i < 2; i++) {
		cn->reg[i] = false;
		put(&cn->end[i], &msg);
	}
}

void sim_relay_unlink(struct sim_end *e)
{
	struct sim_conn *cn = &e->sim->conn[e->number];

	if (e->sim->relay.up && cn->link == e->svc.link)
		unlink_conn(e->sim, cn);
}

void sim_relay_unregister(struct sim_end *e)
{
	struct sim_conn *cn = &e->sim->conn[e->number];

	if (!e->sim->relay.up)
		return;
	unlink_conn(e->sim, cn);
	cn->reg[e->guest] = false;
}

bool sim_relay_coresident(const struct sim_end *e)
{
	const struct sim_relay *rl = &e->sim->relay;

	return rl->board[0].alive && rl->board[1].alive &&
	       rl->board[0].host == rl->board[1].host &&
	       e->c.peer_domid == rl->board[!e->guest].domid;
}

void sim_relay_kill(struct sim *s)
{
	struct sim_relay *rl = &s->relay;

	if (!rl->up)
		return;
	sim_count(s, SIM_C_RELAY_KILLED);
	sim_trace(s, "xvmcd is killed", 0, 0, 0, 0, 0);
	rl->up = false;
	rl->up_at = s->now + sim_below(&s->rng, 30000000);
	for (unsigned int i = 0; i < SIM_CONNS; i++) {
		struct sim_conn *cn = &s->conn[i];

		cn->reg[0] = cn->reg[1] = false;
		cn->link = cn->told[0] = cn->told[1] = 0;
		for (unsigned int g = 0; g < 2; g++) {
			s->cover[SIM_C_MSG_LOST] += rl->inbox[i][g].n;
			rl->inbox[i][g].n = 0;
		}
	}
	/* A process whose xvmcd went away knows of no preparation any more. */
	for (unsigned int i = 0; rl->prep && i < SIM_ENDS(s); i++)
		sim_end(s, i)->svc.prepare = false;
}

void sim_relay_start(struct sim *s)
{
	struct sim_relay *rl = &s->relay;

	memset(rl, 0, sizeof(*rl));
	rl->up = true;
	rl->gen = 1;
	for (unsigned int g = 0; g < SIM_GUESTS; g++) {
		rl->board[g].domid = s->hv.dom[g].domid;
		rl->board[g].host = s->hv.dom[g].host;
		rl->board[g].alive = true;
		rl->board[g].at = UINT64_MAX;
	}
	rl->serial = 1;
}

/* What dom0 publishes, some time after it happened. */
static bool publish(struct sim *s)
{
	struct sim_relay *rl = &s->relay;
	bool any = false;

	for (unsigned int g = 0; g < SIM_GUESTS; g++) {
		bool killed = false;

		if (rl->board[g].at > s->now)
			continue;
		for (unsigned int i = g; i < SIM_ENDS(s); i += 2)
			killed |= sim_end(s, i)->killed;
		rl->board[g].at = UINT64_MAX;
		rl->board[g].domid = s->hv.dom[g].domid;
		rl->board[g].host = s->hv.dom[g].host;
		rl->board[g].alive = !killed;
		rl->serial++;
		any = true;
		for (unsigned int i = 0; i < s->plan.nconns; i++)
			unlink_conn(s, &s->conn[i]);
	}
	return any;
}

static bool match(struct sim *s, struct sim_conn *cn)
{
	struct sim_relay *rl = &s->relay;

	if (cn->link || !cn->reg[0] || !cn->reg[1] || rl->board[0].at != UINT64_MAX ||
	    rl->board[1].at != UINT64_MAX || !rl->board[0].alive ||
	    !rl->board[1].alive || rl->board[0].host != rl->board[1].host)
		return false;
	if (cn->told[0] && cn->told[0] == cn->told[1]) {
		cn->link = cn->told[0]; /* goes on where it was */
		return true;
	}
	cn->link = ++rl->next_link;
	for (unsigned int i = 0; i < 2; i++) {
		struct sim_msg msg = { .kind = SIM_M_MATCH, .link = cn->link,
				       .domid = rl->board[!i].domid };

		put(&cn->end[i], &msg);
	}
	return true;
}

static void tell_all(struct sim *s, enum sim_msg_kind kind)
{
	struct sim_msg msg = { .kind = kind };

	for (unsigned int i = 0; s->relay.up && i < SIM_ENDS(s); i++)
		put(sim_end(s, i), &msg);
}

void sim_relay_prepare(struct sim *s, const struct sim_fault *f)
{
	if (s->relay.prep)
		return;
	sim_trace(s, "guest %ld is prepared for migration", f->guest, 0, 0, 0, 0);
	s->relay.prep = f;
	s->relay.prep_until = s->now + sim_range(&s->rng, 1000000, 20000000);
	tell_all(s, SIM_M_PREPARE);
}

static bool finish_prepared(struct sim *s)
{
	struct sim_relay *rl = &s->relay;
	const struct sim_fault *f = rl->prep;
	struct sim_fault go = *f;
	bool all = true;

	for (unsigned int i = 0; i < SIM_ENDS(s); i++) {
		const struct sim_end *e = sim_end(s, i);

		all &= e->svc.prepared || e->killed || e->closed;
	}
	if (!all && s->now < rl->prep_until)
		return false;
	rl->prep = NULL;
	if (f->kind == SIM_F_CANCEL) {
		sim_count(s, SIM_C_MIG_CANCELLED);
	} else {
		sim_count(s, all ? SIM_C_MIG_PREPARED : SIM_C_MIG_LATE);
		go.kind = SIM_F_MIGRATE;
		sim_inject_do(s, &go);
	}
	tell_all(s, SIM_M_FINISH);
	return true;
}

bool sim_relay_step(struct sim *s)
{
	struct sim_relay *rl = &s->relay;

	if (publish(s))
		return true;
	if (!rl->up && s->now >= rl->up_at) {
		sim_trace(s, "xvmcd is back", 0, 0, 0, 0, 0);
		rl->up = true;
		rl->gen++;
		for (unsigned int i = 0; i < SIM_ENDS(s); i++)
			sim_end(s, i)->svc.prepare = rl->prep != NULL;
		return true;
	}
	if (rl->prep && finish_prepared(s))
		return true;
	for (unsigned int i = 0; rl->up && i < s->plan.nconns; i++)
		if (match(s, &s->conn[i]))
			return true;
	return false;
}

uint64_t sim_relay_timer(const struct sim *s)
{
	const struct sim_relay *rl = &s->relay;
	const uint64_t when[] = { rl->up ? UINT64_MAX : rl->up_at,
				  rl->board[0].at, rl->board[1].at,
				  rl->prep ? rl->prep_until : UINT64_MAX };
	uint64_t at = UINT64_MAX;

	for (size_t i = 0; i < sizeof(when) / sizeof(when[0]); i++)
		if (when[i] > s->now && when[i] < at)
			at = when[i];
	return at;
}
