/* SPDX-License-Identifier: MIT */
/*
 * The registrations of our own processes, and where each is matched: here, or
 * by the xvmcd that leads between us and the guest its other end is in.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "match.h"
#include "peer.h"
#include "xen.h"

static struct route *find(struct xen_mode *xen, const struct agent *agent, uint32_t epid)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &xen->routes) {
		struct route *r = xvmc_list_entry(it, struct route, node);

		if (r->agent == agent && r->reg.epid == epid)
			return r;
	}
	return NULL;
}

static struct route *find_link(struct xen_mode *xen, uint64_t link)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &xen->routes) {
		struct route *r = xvmc_list_entry(it, struct route, node);

		if (link && r->link == link)
			return r;
	}
	return NULL;
}

static void forward(struct peer *peer, const struct agent *agent, const void *msg, size_t len)
{
	if (peer->ctl)
		peer_send(peer, agent->number, msg, len);
}

/* Said again with each registration: who knows it takes no notice. */
static void introduce(struct peer *peer, const struct agent *agent)
{
	struct xvmc_ag_hello hello = {
		.hdr = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_HELLO, .len = sizeof(hello) },
		.role = XVMC_ROLE_APP,
		.netns = agent->netns,
		.domain = "guest",
	};

	memcpy(hello.comm, agent->comm, sizeof(hello.comm));
	forward(peer, agent, &hello, sizeof(hello));
}

static void tell(struct route *r)
{
	struct xvmc_ag_register reg = r->reg;

	introduce(r->peer, r->agent);
	if (r->link)
		reg.link = r->link;
	forward(r->peer, r->agent, &reg, sizeof(reg));
}

static void say_unlinked(struct route *r, uint32_t reason)
{
	struct xvmc_ag_word msg = {
		.hdr = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_UNLINKED, .len = sizeof(msg) },
		.epid = r->reg.epid,
		.reason = reason,
		.link = r->link,
	};

	if (r->link)
		conn_send(&r->agent->conn, &msg, NULL, 0);
	r->link = 0;
}

static struct peer *where(struct xen_mode *xen, const struct route *r)
{
	struct peer *peer = peer_by_addr(xen, &r->reg.remote.ip);

	return peer && !peer->leader ? peer : NULL;
}

/* ---- what our processes say ---- */

static int on_register(struct xen_mode *xen, struct agent *agent,
		       const struct xvmc_ag_register *msg)
{
	struct route *r;

	if (find(xen, agent, msg->epid))
		return -EPROTO;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->agent = agent;
	r->reg = *msg;
	xvmc_list_add(&xen->routes, &r->node);
	r->peer = where(xen, r);
	if (!r->peer)
		return 0;
	tell(r);
	return 1;
}

static int on_unregister(struct xen_mode *xen, struct agent *agent,
			 const struct xvmc_ag_word *msg)
{
	struct route *r = find(xen, agent, msg->epid);
	struct peer *peer = r ? r->peer : NULL;

	if (!r)
		return 0;
	xvmc_list_del(&r->node);
	free(r);
	if (peer)
		forward(peer, agent, msg, sizeof(*msg));
	return peer != NULL;
}

static int on_linked(struct xen_mode *xen, struct agent *agent, uint32_t epid,
		     uint64_t link, const struct xvmc_agent_hdr *hdr)
{
	struct route *r = find(xen, agent, epid);

	if (!r || !r->peer)
		return 0;
	if (r->link != link)
		return 1; /* it has ended meanwhile */
	if (hdr->type == XVMC_AG_UNLINK)
		r->link = 0;
	forward(r->peer, agent, hdr, hdr->len);
	return 1;
}

int route_message(struct agent *agent, const struct xvmc_agent_hdr *hdr)
{
	struct xen_mode *xen = agent->conn.d->xen;
	const struct xvmc_ag_word *word = (const void *)hdr;
	const struct xvmc_ag_relay *relay = (const void *)hdr;
	const struct xvmc_ag_adopt *adopt = (const void *)hdr;
	struct route *r;

	switch (hdr->type) {
	case XVMC_AG_REGISTER:
		return on_register(xen, agent, (const void *)hdr);
	case XVMC_AG_UNREGISTER:
		return on_unregister(xen, agent, word);
	case XVMC_AG_UNLINK:
		return on_linked(xen, agent, word->epid, word->link, hdr);
	case XVMC_AG_RELAY:
		return on_linked(xen, agent, relay->epid, relay->link, hdr);
	case XVMC_AG_ADOPT:
		r = find_link(xen, adopt->link);
		if (!r || !r->peer)
			return 0;
		introduce(r->peer, agent);
		forward(r->peer, agent, adopt, sizeof(*adopt));
		return 1;
	default:
		return 0;
	}
}

void route_forget(struct agent *agent)
{
	struct xen_mode *xen = agent->conn.d->xen;
	const struct xvmc_agent_hdr bye = { .version = XVMC_AGENT_VERSION,
					    .type = XVMC_AG_END,
					    .len = sizeof(bye) };
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &xen->routes) {
		struct route *r = xvmc_list_entry(it, struct route, node);

		if (r->agent != agent)
			continue;
		xvmc_list_del(&r->node);
		free(r);
	}
	xvmc_list_each(it, tmp, &xen->peers) {
		struct peer *peer = xvmc_list_entry(it, struct peer, node);

		if (!peer->leader)
			forward(peer, agent, &bye, sizeof(bye));
	}
}

/* ---- what becomes of them ---- */

static void move(struct xen_mode *xen, struct route *r, struct peer *to)
{
	struct xvmc_ag_word un = {
		.hdr = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_UNREGISTER, .len = sizeof(un) },
		.epid = r->reg.epid,
		.reason = XVMC_R_MIGRATE_PEER,
	};
	int rc = 0;

	/* A link that ended by this is told to the process, too. */
	if (r->peer) {
		forward(r->peer, r->agent, &un, sizeof(un));
		say_unlinked(r, XVMC_R_MIGRATE_PEER);
	} else {
		match_unregister(r->agent, &un);
	}
	r->peer = to;
	r->link = 0;
	r->reg.link = 0;
	if (to)
		tell(r);
	else
		rc = match_register(r->agent, &r->reg);
	if (rc < 0)
		log_line("a connection cannot be registered again: %s", strerror(-rc));
	(void)xen;
}

void routes_settle(struct xen_mode *xen)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &xen->routes) {
		struct route *r = xvmc_list_entry(it, struct route, node);
		struct peer *to = where(xen, r);

		if (to != r->peer)
			move(xen, r, to);
	}
}

void routes_tell(struct peer *peer)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &peer->xen->routes) {
		struct route *r = xvmc_list_entry(it, struct route, node);

		if (r->peer == peer)
			tell(r);
	}
}

void routes_lose(struct peer *peer, uint32_t reason)
{
	struct xen_mode *xen = peer->xen;
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &xen->routes) {
		struct route *r = xvmc_list_entry(it, struct route, node);
		int rc;

		if (r->peer != peer)
			continue;
		say_unlinked(r, reason);
		r->peer = NULL;
		r->reg.link = 0;
		rc = match_register(r->agent, &r->reg);
		if (rc < 0)
			log_line("a connection cannot be registered again: %s", strerror(-rc));
	}
}

/* ---- what they are told ---- */

static struct agent *by_number(struct xvmcd *d, uint32_t number)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &d->agents) {
		struct agent *agent = xvmc_list_entry(it, struct agent, conn.node);

		if (agent->number == number && agent->role == XVMC_ROLE_APP)
			return agent;
	}
	return NULL;
}

/* The word of a guest about its own connections, and about no others. */
void routes_back(struct peer *peer, uint32_t number, void *msg, size_t len)
{
	struct agent *agent = by_number(peer->xen->d, number);
	struct xvmc_agent_hdr *hdr = msg;
	struct xvmc_ag_match *match = msg;
	struct xvmc_ag_word *word = msg;
	struct route *r;

	if (!agent || len < sizeof(*hdr) + 4 || hdr->len != len ||
	    hdr->version != XVMC_AGENT_VERSION) {
		if (agent && len == sizeof(*hdr) && hdr->type == XVMC_AG_END && hdr->len == len)
			conn_send(&agent->conn, hdr, NULL, 0);
		return;
	}
	/* epid is the first word of each. */
	r = find(peer->xen, agent, match->epid);
	if (!r || r->peer != peer)
		return;
	switch (hdr->type) {
	case XVMC_AG_MATCH:
		/* The leader does not know yet that one of us is about to be
		 * suspended. The channel goes next, and the link with it. */
		if (len != sizeof(*match) || peer_quiet(peer))
			return;
		/* Not another guest, whatever it says. */
		match->peer_domid = peer->domid;
		r->link = match->link;
		break;
	case XVMC_AG_UNLINKED:
		if (len != sizeof(*word))
			return;
		if (word->link == r->link)
			r->link = 0;
		break;
	case XVMC_AG_YIELD:
		if (len != sizeof(*word))
			return;
		break;
	case XVMC_AG_RELAYED:
		if (len < offsetof(struct xvmc_ag_relay, body) + sizeof(struct xvmc_setup_hdr) ||
		    len > sizeof(struct xvmc_ag_relay))
			return;
		break;
	default:
		return;
	}
	conn_send(&agent->conn, msg, NULL, 0);
}
