/* SPDX-License-Identifier: MIT */
/*
 * A link between the two ends of a connection: the five steps of set-up [S 3]
 * as messages, what of them makes no sense, and the link that has to wait
 * until the old one is left. Service thread only.
 */
#include <errno.h>
#include <linux/socket.h>
#include <stdlib.h>
#include <string.h>

#include "service.h"

/* Who has not used its rings for so long may lose them to another. */
#define IDLE_NS 1000000000u

static enum xvmc_reason why_not(int err)
{
	switch (err) {
	case -ENOSPC:
		return XVMC_R_NO_GRANTS;
	case -ENOBUFS:
		return XVMC_R_NO_PORTS;
	case -EMFILE:
	case -ENFILE:
		return XVMC_R_NO_FDS;
	case -ENOMEM:
		return XVMC_R_NO_MEMORY;
	case -EPROTO:
		return XVMC_R_BAD_OFFER;
	case -ESTALE:
		return XVMC_R_BAD_NONCE;
	case -ENOENT:
	case -EACCES:
		return XVMC_R_MIGRATE_PEER; /* it moved while we set up */
	default:
		return XVMC_R_NO_XVMCD;
	}
}

/* Of those that have rings, the one that has been idle longest makes way. */
static void make_way(struct xvmc_service *sv)
{
	struct xvmc_endpoint *oldest = known_idle(sv, os_now_ns(), IDLE_NS);

	if (!oldest)
		return;
	drive_leave(sv, oldest, XVMC_R_LRU, false);
	xvmc_service_kick(oldest);
}

/* It stays on TCP for want of something: says so, and that it was given up. */
static void refuse(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		   enum xvmc_reason why)
{
	link_say(sv, ep, XVMC_SETUP_REFUSE, why);
	xvmc_stat_add(sv->ctx->stats, XVMC_S_REASON0 + why, 1);
	if (why == XVMC_R_NO_GRANTS)
		grow_short(sv);
	if (link_for_want(why))
		make_way(sv);
}

static void give_up(struct xvmc_service *sv, struct xvmc_endpoint *ep, int err)
{
	enum xvmc_reason why = why_not(err);

	refuse(sv, ep, why);
	drive_leave(sv, ep, why, false);
}

/* A program that has set its socket's buffers means them: the ring is no larger
 * than that. Those the kernel tunes by itself say nothing. */
static unsigned int order_limit(int fd, int name, int lock)
{
	unsigned int order = 0;
	socklen_t len = sizeof(int);
	int locks = 0, bytes = 0;

	if (os_getsockopt(fd, SOL_SOCKET, SO_BUF_LOCK, &locks, &len) < 0 ||
	    !(locks & lock) ||
	    os_getsockopt(fd, SOL_SOCKET, name, &bytes, &len) < 0)
		return XVMC_RING_ORDER_MAX;
	while (order < XVMC_RING_ORDER_MAX &&
	       (unsigned int)bytes >= (uint64_t)XVMC_PAGE_SIZE << (order + 1))
		order++;
	return order;
}

uint32_t link_pages_max(int fd)
{
	return 1u << order_limit(fd, SO_RCVBUF, SOCK_RCVBUF_LOCK);
}

/* What the peer has said so. */
static unsigned int order_of(uint32_t pages_max)
{
	unsigned int order = XVMC_RING_ORDER_MAX;

	while (order > 0 && pages_max && 1u << order > pages_max)
		order--;
	return order;
}

/* Step 3. */
static int make_offer(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		      unsigned int order_max, struct xvmc_setup_offer *ret_offer)
{
	unsigned int limit = order_limit(ep->io_fd, SO_SNDBUF, SOCK_SNDBUF_LOCK);
	unsigned int order = grow_order(sv, ep);
	struct conn_t *c = &ep->conn;
	int r;

	if (limit > order_max)
		limit = order_max;
	if (order > limit)
		order = limit;
	section_lock(&c->tx.lock);
	xvmc_conn_tx_detach(c);
	r = xvmc_conn_offer(c, sv->hv, order, ret_offer);
	if (r == -ENOSPC && order > sv->ctx->opt.order) {
		order = grow_no_more(ep);
		r = xvmc_conn_offer(c, sv->hv, order, ret_offer);
	}
	if (r == 0)
		grow_made(sv, ep, order, limit);
	section_unlock(&c->tx.lock);
	return r;
}

void link_held_end(struct xvmc_endpoint *ep)
{
	memset(&ep->svc.held, 0, sizeof(ep->svc.held));
	free(ep->svc.held_offer);
	ep->svc.held_offer = NULL;
	ep->svc.held_lost = false;
}

void link_match(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		const struct xvmc_ag_match *match)
{
	struct xvmc_setup_offer offer;
	int r;

	/* After a restart of xvmcd the link has a new number; rings that are
	 * in use stay in use. */
	if (ep->svc.asked && !ep->svc.leaving) {
		if (xvmc_ep_managed(ep)) {
			ep->conn.link = match->link;
			ep->svc.unlinked = XVMC_R_NONE;
			return;
		}
		drive_leave(sv, ep, XVMC_R_PEER_LEFT, false); /* half made */
	}
	if (ep->svc.pin || ep->svc.closing)
		return;
	if (ep->svc.leaving) {
		link_held_end(ep);
		ep->svc.held = *match;
		return;
	}
	ep->conn.link = match->link;
	ep->conn.peer_domid = match->peer_domid;
	ep->conn.strict = match->strict;
	if (ep->svc.demoted) {
		link_ended(sv, ep, XVMC_R_DEMOTED);
		return;
	}
	if (!sv->hv || sv->nrings >= sv->ctx->opt.max_rings) {
		refuse(sv, ep, XVMC_R_LRU);
		link_withdraw(sv, ep, XVMC_R_LRU);
		return;
	}
	if (!fork_claim(ep)) {
		link_withdraw(sv, ep, XVMC_R_FORK);
		return;
	}
	/* Under the lock: who closes the last number closes ours as well, and
	 * who closes another tells which is left. */
	section_lock(&ep->conn.tx.lock);
	if (ep->nfds)
		ep->io_fd = xvmc_numbers_dup(ep->fd);
	section_unlock(&ep->conn.tx.lock);
	if (ep->io_fd < 0) {
		fork_release(ep);
		refuse(sv, ep, XVMC_R_NO_FDS);
		link_withdraw(sv, ep, XVMC_R_NO_FDS);
		return;
	}
	ep->state = XVMC_EP_LINKED;
	ep->reason = XVMC_R_SETUP;
	ep->svc.asked = true;
	known_ring(sv, ep, os_now_ns());
	service_log(sv, ep, "is matched", XVMC_R_SETUP);
	r = make_offer(sv, ep, order_of(match->pages_max), &offer);
	if (r < 0)
		give_up(sv, ep, r);
	else
		link_relay(sv, ep, &offer.hdr); /* step 4 */
}

static void on_offer(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		     const struct xvmc_setup_offer *offer, size_t len)
{
	struct conn_t *c = &ep->conn;
	int r;

	section_lock(&c->rx.lock);
	r = xvmc_conn_accept_offer(c, sv->hv, offer, len);
	section_unlock(&c->rx.lock);
	if (r == 0)
		r = endpoint_manage(ep);
	if (r < 0) {
		give_up(sv, ep, r);
		return;
	}
	xvmc_stat_add(sv->ctx->stats, XVMC_S_RINGS, 1);
	xvmc_stat_add(sv->ctx->stats, XVMC_S_SETUPS, 1);
	known_ring(sv, ep, os_now_ns());
	ep->svc.refused = 0;
	service_log(sv, ep, "rings are mapped", XVMC_R_SETUP);
	xvmc_hv_notify(sv->hv, &c->rx.chan); /* step 5: the page says it already */
}

static void on_relayed(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		       const void *body, size_t len)
{
	union {
		struct xvmc_setup_hdr hdr;
		struct xvmc_setup_offer offer;
		struct xvmc_setup_word word;
	} m;

	if (len < sizeof(m.hdr) || len > sizeof(m))
		return;
	memset(&m, 0, sizeof(m));
	memcpy(&m, body, len);
	if (m.hdr.version != XVMC_ABI_VERSION || m.hdr.len != len) {
		xvmc_stat_add(sv->ctx->stats, XVMC_S_REASON0 + XVMC_R_BAD_VERSION, 1);
		drive_leave(sv, ep, XVMC_R_BAD_VERSION, true);
		return;
	}
	if (ep->svc.leaving)
		return; /* what is being set up will not be used */
	switch (m.hdr.type) {
	case XVMC_SETUP_OFFER:
		on_offer(sv, ep, &m.offer, len);
		break;
	case XVMC_SETUP_REFUSE:
	case XVMC_SETUP_LEAVE:
		drive_leave(sv, ep, m.word.reason < XVMC_R_COUNT ?
					    (enum xvmc_reason)m.word.reason :
					    XVMC_R_PEER_LEFT, false);
		break;
	default:
		xvmc_stat_add(sv->ctx->stats, XVMC_S_REASON0 + XVMC_R_BAD_OFFER, 1);
		drive_leave(sv, ep, XVMC_R_BAD_OFFER, true);
	}
}

/* Its OFFER waits with the link. What else the peer can say by then, that it leaves,
 * xvmcd says, too. */
static void hold_offer(struct xvmc_endpoint *ep, const void *body, size_t len)
{
	struct xvmc_setup_hdr hdr;

	if (len < sizeof(hdr) || len > sizeof(*ep->svc.held_offer) || ep->svc.held_offer)
		return;
	memcpy(&hdr, body, sizeof(hdr));
	if (hdr.type != XVMC_SETUP_OFFER || hdr.len != len)
		return;
	ep->svc.held_offer = malloc(sizeof(*ep->svc.held_offer));
	if (ep->svc.held_offer)
		memcpy(ep->svc.held_offer, body, len);
	else
		ep->svc.held_lost = true;
}

void link_relayed(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		  const struct xvmc_ag_relay *relay)
{
	size_t len = relay->hdr.len - offsetof(struct xvmc_ag_relay, body);

	if (ep->svc.asked && ep->conn.link == relay->link)
		on_relayed(sv, ep, relay->body, len);
	else if (ep->svc.held.link && ep->svc.held.link == relay->link)
		hold_offer(ep, relay->body, len);
}

void link_held(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	struct xvmc_ag_match match = ep->svc.held;
	struct xvmc_setup_offer *offer = ep->svc.held_offer;
	bool lost = ep->svc.held_lost;

	if (!match.link)
		return;
	ep->svc.held_offer = NULL;
	link_held_end(ep);
	link_match(sv, ep, &match);
	if (ep->svc.asked && !ep->svc.leaving && ep->conn.link == match.link) {
		if (offer)
			on_relayed(sv, ep, offer, offer->hdr.len);
		else if (lost)
			give_up(sv, ep, -ENOMEM);
	}
	free(offer);
	/* It may be managed again, and whoever drives it has just seen its end: as
	 * after any message, it is looked at anew, and watched. */
	xvmc_service_kick(ep);
}
