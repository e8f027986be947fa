/* SPDX-License-Identifier: MIT */
/*
 * Endpoints and xvmcd: registration, messages to it and through it, and which
 * of its messages goes where. Service thread only.
 */
#include <errno.h>
#include <string.h>

#include "service.h"

#define REFUSED_MAX 6u /* then it is 64 times as dear, and no dearer */

void link_addr(const struct sockaddr_storage *ss, struct xvmc_ag_addr *ret)
{
	memset(ret, 0, sizeof(*ret));
	vms_addr((const struct sockaddr *)ss, sizeof(*ss), &ret->ip, &ret->port);
}

/* A message of little more than its type, to xvmcd. */
static void send_word(struct xvmc_service *sv, uint16_t type, uint32_t epid,
		      uint64_t link, uint32_t reason)
{
	struct xvmc_ag_word word = {
		.hdr = { .type = type, .len = sizeof(word) },
		.epid = epid,
		.reason = reason,
		.link = link,
	};

	xvmc_agent_send(&sv->agent, &word.hdr);
}

int link_register(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	struct xvmc_ag_register reg = {
		.hdr = { .type = XVMC_AG_REGISTER, .len = sizeof(reg) },
		.epid = ep->epid,
		.link = ep->svc.asked ? ep->conn.link : 0,
	};
	socklen_t llen = sizeof(ep->svc.local), rlen = sizeof(ep->svc.remote);
	bool tcp;

	if (!ep->svc.have_addrs) {
		section_lock(&ep->conn.tx.lock);
		/* As long as there is a number: the last may be another
		 * socket's by now. */
		ep->svc.have_addrs =
			ep->nfds &&
			os_getsockname(ep->fd, (struct sockaddr *)&ep->svc.local, &llen) == 0 &&
			os_getpeername(ep->fd, (struct sockaddr *)&ep->svc.remote, &rlen) == 0;
		tcp = ep->svc.have_addrs && endpoint_is_tcp(ep->fd);
		if (ep->svc.have_addrs)
			ep->svc.pages_max = link_pages_max(ep->fd);
		section_unlock(&ep->conn.tx.lock);
		if (!ep->svc.have_addrs)
			return -ENOTCONN; /* closing, or gone already */
		if (!tcp) { /* so far there was a hint (fdtab.h) */
			ep->svc.have_addrs = false;
			ep->pin_wanted = XVMC_R_UNFOLLOWED;
			xvmc_service_kick(ep);
			return -EPROTOTYPE;
		}
	}
	if (sv->agent.fd < 0) {
		ep->reason = XVMC_R_NO_XVMCD;
		return -EIO; /* again when xvmcd is back */
	}
	reg.pages_max = ep->svc.pages_max;
	link_addr(&ep->svc.local, &reg.local);
	link_addr(&ep->svc.remote, &reg.remote);
	ep->conn.local_port = reg.local.port;
	ep->conn.remote_port = reg.remote.port;
	ep->state = XVMC_EP_REGISTERED;
	ep->reason = XVMC_R_NO_PEER;
	ep->svc.told_xvmcd = true;
	ep->svc.grow_asked = false; /* another xvmcd was asked */
	xvmc_stat_add(sv->ctx->stats, XVMC_S_REGISTERED, 1);
	service_log(sv, ep, "is registered", XVMC_R_NO_PEER);
	return xvmc_agent_send(&sv->agent, &reg.hdr);
}

void link_unregister(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	if (ep->svc.told_xvmcd)
		send_word(sv, XVMC_AG_UNREGISTER, ep->epid, ep->conn.link,
			  ep->reason);
	ep->svc.told_xvmcd = false;
	ep->conn.link = 0;
}

void link_relay(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		const struct xvmc_setup_hdr *body)
{
	struct xvmc_ag_relay msg = {
		.hdr = { .type = XVMC_AG_RELAY },
		.epid = ep->epid,
		.link = ep->conn.link,
	};

	memcpy(msg.body, body, body->len);
	msg.hdr.len = (uint16_t)(offsetof(struct xvmc_ag_relay, body) + body->len);
	xvmc_agent_send(&sv->agent, &msg.hdr);
}

void link_say(struct xvmc_service *sv, struct xvmc_endpoint *ep,
	      enum xvmc_setup_type type, unsigned int reason)
{
	struct xvmc_setup_word word = {
		.hdr = { .version = XVMC_ABI_VERSION,
			 .type = (uint16_t)type,
			 .len = sizeof(word) },
		.reason = reason,
	};

	if (ep->conn.link)
		link_relay(sv, ep, &word.hdr);
}

void link_ended(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		enum xvmc_reason why)
{
	if (ep->conn.link)
		send_word(sv, XVMC_AG_UNLINK, ep->epid, ep->conn.link, why);
	ep->conn.link = 0;
	ep->conn.peer_domid = XVMC_DOMID_NONE;
}

/* ---- no room for its rings ---- */

bool link_for_want(enum xvmc_reason why)
{
	switch (why) {
	case XVMC_R_LRU:
	case XVMC_R_NO_GRANTS:
	case XVMC_R_NO_PORTS:
	case XVMC_R_NO_FDS:
	case XVMC_R_NO_MEMORY:
		return true;
	default:
		return false;
	}
}

/*
 * Who asks again and again costs both ends and xvmcd more than it gains. Those
 * that have fallen idle, perhaps thousands, shall not ask at all; who is in use
 * asks seldom, and soon gets the room of one that is not.
 */
static void want_more(struct xvmc_endpoint *ep)
{
	const struct xvmc_options *opt = &ep->ctx->opt;
	uint64_t sent = ep->conn.tx.sent, rcvd = ep->conn.rx.rcvd;
	uint32_t n = ep->svc.refused;

	ep->ops_wanted = ep->ops + ((opt->min_ops ? opt->min_ops : 1) << n);
	ep->bytes_wanted = (sent > rcvd ? sent : rcvd) +
			   ((uint64_t)(opt->min_bytes ? opt->min_bytes : 1) << n);
	if (n < REFUSED_MAX)
		ep->svc.refused++;
}

void link_withdraw(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		   enum xvmc_reason why)
{
	link_ended(sv, ep, why);
	ep->reason = why;
	link_unregister(sv, ep);
	link_held_end(ep);
	if (link_for_want(why))
		want_more(ep);
	ep->state = XVMC_EP_TRACKED;
}

static void on_unlinked(struct xvmc_service *sv, struct xvmc_endpoint *ep,
			const struct xvmc_ag_word *word)
{
	enum xvmc_reason why = word->reason < XVMC_R_COUNT ?
				       (enum xvmc_reason)word->reason :
				       XVMC_R_PEER_LEFT;

	if (word->link && word->link == ep->svc.held.link)
		link_held_end(ep);
	if (word->link != ep->conn.link && word->link)
		return;
	ep->conn.link = 0; /* nobody to answer to */
	if (!ep->svc.asked) {
		if (ep->state == XVMC_EP_REGISTERED && link_for_want(why))
			link_withdraw(sv, ep, why);
		else if (ep->state != XVMC_EP_PINNED)
			ep->reason = why;
		return;
	}
	/* One that has ended reads no record of ours, and what the kernel still
	 * has of it must come: drive() looks before it leaves the ring. */
	if (xvmc_ep_managed(ep) && (why == XVMC_R_PEER_DIED || why == XVMC_R_CLOSE))
		ep->svc.unlinked = why;
	else
		drive_leave(sv, ep, why, false);
}

void link_message(struct xvmc_service *sv, const union xvmc_agent_msg *msg)
{
	struct xvmc_endpoint *ep;

	switch (msg->hdr.type) {
	case XVMC_AG_MATCH:
		ep = known_find(sv, msg->match.epid);
		if (ep)
			link_match(sv, ep, &msg->match);
		break;
	case XVMC_AG_RELAYED:
		ep = known_find(sv, msg->relay.epid);
		if (ep)
			link_relayed(sv, ep, &msg->relay);
		break;
	case XVMC_AG_UNLINKED:
		ep = known_find(sv, msg->word.epid);
		if (ep)
			on_unlinked(sv, ep, &msg->word);
		break;
	case XVMC_AG_YIELD:
		ep = known_find(sv, msg->word.epid);
		if (ep)
			ep->svc.yield = true;
		break;
	case XVMC_AG_PAGES:
		ep = known_find(sv, msg->pages.epid);
		if (ep)
			grow_answer(sv, ep, &msg->pages);
		break;
	case XVMC_AG_SHORT:
		grow_back(sv);
		return;
	case XVMC_AG_KEEP:
	case XVMC_AG_PREPARE:
	case XVMC_AG_FINISH:
		link_migrate(sv, &msg->migrate);
		return;
	case XVMC_AG_QUERY:
		link_query(sv);
		return;
	case XVMC_AG_STEER:
		link_steer_all(sv, &msg->steer);
		return;
	default:
		return;
	}
	if (ep)
		xvmc_service_kick(ep);
}
