/* SPDX-License-Identifier: MIT */
/*
 * The endpoints the service thread knows: all of them, by their names, those
 * whose time comes, and those that have rings, by their last use. There may be
 * tens of thousands, of which few want anything: what the thread does for one
 * does not depend on how many there are. Service thread only.
 */
#include "service.h"

static struct xvmc_endpoint **bucket(struct xvmc_service *sv, uint32_t epid)
{
	return &sv->by_epid[epid % KNOWN_BUCKETS];
}

void known_add(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	struct xvmc_endpoint **at = bucket(sv, ep->epid);

	xvmc_list_add(&sv->known, &ep->svc_link);
	ep->svc.epid_next = *at;
	*at = ep;
}

void known_del(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	struct xvmc_endpoint **at = bucket(sv, ep->epid);

	while (*at && *at != ep)
		at = &(*at)->svc.epid_next;
	if (*at)
		*at = ep->svc.epid_next;
	xvmc_list_del(&ep->svc_link);
	xvmc_list_del(&ep->svc.due_link);
	known_no_ring(sv, ep);
}

struct xvmc_endpoint *known_find(struct xvmc_service *sv, uint32_t epid)
{
	struct xvmc_endpoint *ep = *bucket(sv, epid);

	while (ep && ep->epid != epid)
		ep = ep->svc.epid_next;
	return ep;
}

/* ---- when ---- */

void known_due(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	/* One that is in the list stays where it is: timers() may be there. */
	if (!ep->svc.due_ns)
		xvmc_list_del(&ep->svc.due_link);
	else if (!xvmc_list_linked(&ep->svc.due_link))
		xvmc_list_add(&sv->due, &ep->svc.due_link);
}

/* ---- rings ---- */

static uint64_t moved_by_ring(struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;
	uint64_t bytes;

	section_lock(&c->tx.lock);
	bytes = c->tx.ring_bytes;
	section_unlock(&c->tx.lock);
	section_lock(&c->rx.lock);
	bytes += c->rx.ring_bytes;
	section_unlock(&c->rx.lock);
	return bytes;
}

void known_ring(struct xvmc_service *sv, struct xvmc_endpoint *ep, uint64_t now)
{
	sv->nrings += !xvmc_list_linked(&ep->svc.ring_link);
	xvmc_list_del(&ep->svc.ring_link);
	xvmc_list_add(&sv->rings, &ep->svc.ring_link);
	ep->svc.use_ns = now;
	ep->svc.use_bytes = moved_by_ring(ep);
}

void known_no_ring(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	sv->nrings -= xvmc_list_linked(&ep->svc.ring_link);
	xvmc_list_del(&ep->svc.ring_link);
}

struct xvmc_endpoint *known_idle(struct xvmc_service *sv, uint64_t now, uint64_t ns)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &sv->rings) {
		struct xvmc_endpoint *ep =
			xvmc_list_entry(it, struct xvmc_endpoint, svc.ring_link);

		if (now - ep->svc.use_ns <= ns)
			return NULL; /* nor is any behind it */
		if (xvmc_ep_managed(ep) && !ep->svc.leaving &&
		    moved_by_ring(ep) == ep->svc.use_bytes)
			return ep;
		known_ring(sv, ep, now);
	}
	return NULL;
}
