/* SPDX-License-Identifier: MIT */
/*
 * What processes say about their connections, and what happens to those when
 * domains move or processes end.
 */
#include "match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "pair.h"

#define ADOPT_WAIT (1000ull * MS)

/* A forked child waits for its parent's end of a link to be on TCP. */
struct adopt {
	struct xvmc_list node;     /* of matcher->adopts */
	struct xvmc_list by_agent; /* of the child's agent->adopts */
	struct timer timer;
	struct agent *child;
	uint32_t serial;
	uint64_t link;
};

int match_new(struct xvmcd *d, struct matcher **ret_matcher)
{
	struct matcher *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->d = d;
	xvmc_list_init(&m->adopts);
	for (unsigned int i = 0; i < PAIR_BUCKETS; i++) {
		xvmc_list_init(&m->pairs[i]);
		xvmc_list_init(&m->links[i]);
		xvmc_list_init(&m->regs[i]);
	}
	*ret_matcher = m;
	return 0;
}

/* ---- forked children ---- */

static void adopt_end(struct adopt *adopt, int status)
{
	struct xvmcd *d = adopt->child->conn.d;

	agent_send_hdr(adopt->child, XVMC_AG_END, status, adopt->serial);
	loop_disarm(d->loop, &adopt->timer);
	xvmc_list_del(&adopt->node);
	xvmc_list_del(&adopt->by_agent);
	free(adopt);
}

static void adopt_late(struct timer *timer)
{
	adopt_end(xvmc_list_entry(timer, struct adopt, timer), -ETIMEDOUT);
}

/* A link has ended: who waited for that hears of it. */
static void adopts_done(struct matcher *m, uint64_t link, int status)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &m->adopts) {
		struct adopt *adopt = xvmc_list_entry(it, struct adopt, node);

		if (adopt->link == link)
			adopt_end(adopt, status);
	}
}

/* How surely an end is the one that the child's parent has. */
static int likeness(const struct reg *reg, const struct agent *child,
		    const struct xvmc_ag_adopt *msg)
{
	if (reg->epid != msg->epid)
		return 0;
	return 1 + 2 * (reg->agent->dom == child->dom) +
	       ((uint32_t)reg->agent->conn.pid == msg->pid);
}

/* The owner's end: epid says which; where both have that number, the domain,
 * and then the pid, which may be another one in a container. */
static struct reg *owner(struct link *link, const struct agent *child,
			 const struct xvmc_ag_adopt *msg)
{
	int x = likeness(link->end[0], child, msg);
	int y = likeness(link->end[1], child, msg);

	return x == 0 && y == 0 ? NULL : link->end[y > x];
}

static bool pid_lives(struct xvmcd *d, uint32_t pid)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &d->agents) {
		struct agent *agent = xvmc_list_entry(it, struct agent, conn.node);

		if (agent->role == XVMC_ROLE_APP && (uint32_t)agent->conn.pid == pid &&
		    !conn_dying(&agent->conn))
			return true;
	}
	return false;
}

/*
 * The parent may have been forked between two links, and have made its rings
 * since: then the child's is an old one, or none. Its end by pid and epid; where
 * no pid is right (a container's), by epid, if there is but one in the domain.
 */
static struct reg *owner_since(struct xvmcd *d, const struct agent *child,
			       const struct xvmc_ag_adopt *msg)
{
	struct xvmc_list *it, *tmp, *at, *next;
	struct reg *found = NULL;
	unsigned int n = 0;

	xvmc_list_each(it, tmp, &d->agents) {
		struct agent *agent = xvmc_list_entry(it, struct agent, conn.node);

		if (agent->role != XVMC_ROLE_APP || agent->dom != child->dom)
			continue;
		xvmc_list_each(at, next, &agent->regs) {
			struct reg *reg = xvmc_list_entry(at, struct reg, by_agent);

			if (reg->epid != msg->epid || !reg->link)
				continue;
			if ((uint32_t)agent->conn.pid == msg->pid)
				return reg;
			found = reg;
			n++;
		}
	}
	return n == 1 && !pid_lives(d, msg->pid) ? found : NULL;
}

void match_adopt(struct agent *agent, const struct xvmc_ag_adopt *msg)
{
	struct matcher *m = agent->conn.d->matcher;
	struct link *link = link_find(m, msg->link);
	struct reg *reg = link ? owner(link, agent, msg) : NULL;
	struct xvmc_ag_word yield = {
		.hdr = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_YIELD, .len = sizeof(yield) },
		.epid = msg->epid,
		.reason = XVMC_R_FORK,
	};
	struct adopt *adopt;

	if (!reg)
		reg = owner_since(m->d, agent, msg);
	if (!reg) {
		/* A link that has ended is on TCP already. */
		agent_send_hdr(agent, XVMC_AG_END,
			       pid_lives(m->d, msg->pid) ? 0 : -ESRCH,
			       msg->hdr.serial);
		return;
	}
	adopt = calloc(1, sizeof(*adopt));
	if (!adopt) {
		agent_send_hdr(agent, XVMC_AG_END, -ENOMEM, msg->hdr.serial);
		return;
	}
	adopt->child = agent;
	adopt->serial = msg->hdr.serial;
	adopt->link = yield.link = reg->link->id;
	adopt->timer.fire = adopt_late;
	xvmc_list_add(&m->adopts, &adopt->node);
	xvmc_list_add(&agent->adopts, &adopt->by_agent);
	loop_arm(m->d->loop, &adopt->timer, ADOPT_WAIT);
	conn_send(&reg->agent->conn, &yield, NULL, 0);
}

/* ---- links ---- */

/* What keeps a connection on TCP until somebody promotes it. Not a fork: an end
 * that others use as well unregisters until it is alone, and the other end,
 * which may follow it and say so first, has nothing to do with that. */
static bool pins(uint32_t reason)
{
	switch (reason) {
	case XVMC_R_EXEC:
	case XVMC_R_FD_PASSED:
	case XVMC_R_UNFOLLOWED:
	case XVMC_R_RULE:
	case XVMC_R_TCP_ONLY:
	case XVMC_R_CLOSE:
	case XVMC_R_SHUTDOWN:
	case XVMC_R_DEMOTED:
		return true;
	default:
		return false;
	}
}

static void end(struct matcher *m, struct link *link, const struct reg *by,
		uint32_t reason)
{
	const uint32_t reasons[2] = { reason, reason };
	uint64_t id = link->id;

	link_end(m, link, by, reasons);
	adopts_done(m, id, reason == XVMC_R_PEER_DIED ? -ESRCH : 0);
}

/* The registration is over. known: the link it was in when its agent said so:
 * one that we made meanwhile has to be taken back from that agent, too. */
static void drop(struct matcher *m, struct reg *reg, uint64_t known, uint32_t reason)
{
	struct pair *pair = reg->pair;
	bool last = pair->n[0] + pair->n[1] == 1;

	if (reg->link)
		end(m, reg->link, reg->link->id == known ? reg : NULL, reason);
	reg_free(m, reg);
	/* What was ambiguous with it may be clear without it. */
	if (!last)
		pair_resolve(pair);
}

/* The end of a live link that a message is about, or NULL: it has ended
 * meanwhile, which is no error. */
static struct reg *linked(struct agent *agent, uint32_t epid, uint64_t link)
{
	struct reg *reg = reg_find(agent->conn.d->matcher, agent, epid);

	return reg && reg->link && reg->link->id == link ? reg : NULL;
}

void match_relay(struct agent *agent, const struct xvmc_ag_relay *msg)
{
	struct matcher *m = agent->conn.d->matcher;
	struct reg *reg = linked(agent, msg->epid, msg->link), *other;
	struct xvmc_ag_relay out;

	if (!reg)
		return;
	other = link_other(reg->link, reg);
	if (other->agent->dom->host != agent->dom->host) {
		end(m, reg->link, NULL, XVMC_R_NOT_CORESIDENT);
		return;
	}
	memcpy(&out, msg, msg->hdr.len);
	out.hdr.type = XVMC_AG_RELAYED;
	out.hdr.status = 0;
	out.epid = other->epid;
	out.pad = 0;
	conn_send(&other->agent->conn, &out, NULL, 0);
}

void match_unlink(struct agent *agent, const struct xvmc_ag_word *msg)
{
	struct matcher *m = agent->conn.d->matcher;
	struct reg *reg = linked(agent, msg->epid, msg->link);

	if (!reg)
		return;
	if (pins(msg->reason))
		reg->pinned = msg->reason;
	end(m, reg->link, reg, msg->reason);
	pair_resolve(reg->pair);
}

/* ---- registrations ---- */

static void refuse(struct agent *agent, uint32_t epid, uint32_t reason)
{
	struct xvmc_ag_word msg = {
		.hdr = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_UNLINKED, .len = sizeof(msg) },
		.epid = epid,
		.reason = reason,
	};

	conn_send(&agent->conn, &msg, NULL, 0);
}

int match_register(struct agent *agent, const struct xvmc_ag_register *msg)
{
	struct matcher *m = agent->conn.d->matcher;
	struct reg *reg;
	int rc;

	if (reg_find(m, agent, msg->epid))
		return -EPROTO;
	if (m->nregs >= REGS_MAX) {
		refuse(agent, msg->epid, XVMC_R_NO_MEMORY);
		return 0;
	}
	rc = reg_new(m, agent, msg->epid, &msg->local, &msg->remote, &reg);
	if (rc < 0) {
		refuse(agent, msg->epid, rc == -EMLINK ? XVMC_R_AMBIGUOUS : XVMC_R_NO_MEMORY);
		return 0;
	}
	reg->claim = msg->link;
	reg->pages_max = msg->pages_max;
	pair_resolve(reg->pair);
	return 0;
}

void match_unregister(struct agent *agent, const struct xvmc_ag_word *msg)
{
	struct matcher *m = agent->conn.d->matcher;
	struct reg *reg = reg_find(m, agent, msg->epid);

	if (reg)
		drop(m, reg, msg->link, msg->reason ? msg->reason : XVMC_R_CLOSE);
}

void match_forget(struct agent *agent, uint32_t reason)
{
	struct matcher *m = agent->conn.d->matcher;

	while (!xvmc_list_empty(&agent->adopts))
		adopt_end(xvmc_list_entry(agent->adopts.next, struct adopt, by_agent), -ECANCELED);
	while (!xvmc_list_empty(&agent->regs)) {
		struct reg *reg = xvmc_list_entry(agent->regs.next, struct reg, by_agent);

		drop(m, reg, reg->link ? reg->link->id : 0, reason);
	}
}

/* ---- domains ---- */

void match_again(struct xvmcd *d, const struct xvmc_lh_dom *dom)
{
	struct xvmc_list *it, *tmp, *jt, *jmp;

	xvmc_list_each(it, tmp, &d->agents) {
		struct agent *agent = xvmc_list_entry(it, struct agent, conn.node);

		if (agent->dom != dom)
			continue;
		xvmc_list_each(jt, jmp, &agent->regs)
			pair_resolve(xvmc_list_entry(jt, struct reg, by_agent)->pair);
	}
}

void match_moved(struct xvmcd *d, const struct xvmc_lh_dom *dom)
{
	struct xvmc_list *it, *tmp, *jt, *jmp;

	xvmc_list_each(it, tmp, &d->agents) {
		struct agent *agent = xvmc_list_entry(it, struct agent, conn.node);

		if (agent->dom != dom)
			continue;
		xvmc_list_each(jt, jmp, &agent->regs) {
			struct link *link = xvmc_list_entry(jt, struct reg, by_agent)->link;
			uint32_t reasons[2];
			uint64_t id;

			if (!link)
				continue;
			id = link->id;
			for (int i = 0; i < 2; i++)
				reasons[i] = link->end[i]->agent->dom == dom ?
						     XVMC_R_MIGRATE_SELF :
						     XVMC_R_MIGRATE_PEER;
			link_end(d->matcher, link, NULL, reasons);
			adopts_done(d->matcher, id, 0);
		}
	}
}

bool match_touches(const struct agent *agent, const struct xvmc_lh_dom *dom)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &agent->regs) {
		const struct reg *reg = xvmc_list_entry(it, struct reg, by_agent);

		if (reg->link && link_other(reg->link, reg)->agent->dom == dom)
			return true;
	}
	return false;
}

/* ---- tools ---- */

static void promote(struct reg *reg)
{
	struct pair *pair = reg->pair;
	struct xvmc_list *it, *tmp;

	/* A demoted other end was demoted by the same hand. */
	xvmc_list_each(it, tmp, &pair->side[!reg->side]) {
		struct reg *other = xvmc_list_entry(it, struct reg, by_side);

		if (other->pinned == XVMC_R_DEMOTED)
			other->pinned = 0;
	}
	reg->pinned = 0;
	pair->backoff = 0;
	pair->not_before = 0;
	pair_resolve(pair);
}

void match_steer(struct agent *agent, uint32_t epid, uint32_t to)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &agent->regs) {
		struct reg *reg = xvmc_list_entry(it, struct reg, by_agent);

		if (epid != 0 && reg->epid != epid)
			continue;
		if (to == XVMC_PATH_RING)
			promote(reg);
		else if (!reg->link && !reg->pinned)
			reg->pinned = XVMC_R_DEMOTED;
	}
}

uint32_t match_count_links(const struct agent *agent)
{
	struct xvmc_list *it, *tmp;
	uint32_t n = 0;

	xvmc_list_each(it, tmp, &agent->regs)
		n += xvmc_list_entry(it, struct reg, by_agent)->link != NULL;
	return n;
}
