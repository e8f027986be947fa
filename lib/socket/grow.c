/* SPDX-License-Identifier: MIT */
/*
 * How large the ring is that we send by. A direction that has carried little gets a
 * small one: all pages of a ring are dirty once its stream has been around it, and
 * most directions of most connections carry short answers. A writer that keeps
 * waiting for room gets a larger one: either end sleeps once for each ring's worth.
 * A ring becomes larger by being left and made anew, as it is after a migration;
 * at most twice. xvmcd, who knows what the guest has, is asked first.
 * All of it only where the user has named the bounds: meanwhile the stream goes by
 * TCP, which may be long where one processor serves all.
 */
#include "service.h"

/* A small ring is too small after so many laps in a row in which it was full, or at
 * the next one if it was left for that its reader did not read; one of the usual
 * size after so many if its writer has slept in each. Not at once: who has a large
 * message to say and ends shall not end in the middle of a switch. */
#define LAPS_SMALL 8u
#define LAPS_USUAL 32u
/* After each refusal four times as many, so often. */
#define DENIED_MAX 5u
/* A lap that takes longer is its reader's or its writer's doing, on average. */
#define LAP_NS 100000000u
/* So little in a call is an answer, however many there were. */
#define LITTLE 256u

static uint64_t bytes_of(unsigned int order)
{
	return (uint64_t)XVMC_PAGE_SIZE << order;
}

/* Bounds that contradict each other are none. */
static unsigned int least_order(const struct xvmc_service *sv)
{
	const struct xvmc_options *opt = &sv->ctx->opt;

	return opt->order_least < opt->order ? opt->order_least : opt->order;
}

static unsigned int most_order(const struct xvmc_service *sv)
{
	const struct xvmc_options *opt = &sv->ctx->opt;

	return opt->order_most > opt->order ? opt->order_most : opt->order;
}

/* What it has said until now would fit, or has come in small pieces. */
static bool carries_little(const struct xvmc_service *sv, const struct xvmc_endpoint *ep)
{
	uint64_t sent = ep->conn.tx.sent;

	return sent <= bytes_of(least_order(sv)) || sent / LITTLE < ep->ops;
}

unsigned int grow_order(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	if (!ep->svc.sized) {
		ep->svc.sized = true;
		ep->svc.order = (uint8_t)(carries_little(sv, ep) ? least_order(sv) :
								   sv->ctx->opt.order);
	}
	return ep->svc.order;
}

static unsigned int limit_order(const struct xvmc_service *sv, const struct xvmc_endpoint *ep)
{
	return ep->svc.no_more ? sv->ctx->opt.order : most_order(sv);
}

void grow_made(struct xvmc_service *sv, struct xvmc_endpoint *ep, unsigned int order,
	       unsigned int limit)
{
	unsigned int may = limit_order(sv, ep);

	ep->room.limit = bytes_of(limit < may ? limit : may);
	ep->room.laps = 0;
	if (ep->svc.grows && order == ep->svc.order)
		xvmc_stat_add(ep->ctx->stats, XVMC_S_GROWN, 1);
	ep->svc.grows = false;
}

unsigned int grow_no_more(struct xvmc_endpoint *ep)
{
	ep->svc.no_more = true;
	ep->svc.order = (uint8_t)ep->ctx->opt.order;
	return ep->svc.order;
}

static bool is_larger(const struct xvmc_endpoint *ep)
{
	return ep->svc.order > ep->ctx->opt.order;
}

void grow_left(struct xvmc_endpoint *ep, enum xvmc_reason why)
{
	ep->svc.grow_asked = false;
	if (why == XVMC_R_SETUP)
		return;
	ep->svc.grows = false;
	if (!is_larger(ep))
		return;
	if (link_for_want(why))
		grow_no_more(ep);
	else /* it may have that again, but is to ask */
		ep->svc.order = (uint8_t)ep->ctx->opt.order;
}

bool grow_full(struct xvmc_endpoint *ep, bool sleeps)
{
	const struct sender_t *s = &ep->conn.tx.s;
	struct xvmc_ep_room *room = &ep->room;
	bool small = s->size < bytes_of(ep->ctx->opt.order);
	uint64_t need = (uint64_t)(small ? LAPS_SMALL : LAPS_USUAL) << 2 * room->denied;
	uint64_t moved = s->prod - room->pos;

	if (s->size >= room->limit || !(small || sleeps))
		return false;
	if (room->laps && moved < s->size / 2)
		return false; /* the same lap yet */
	if (!room->laps || moved > 2 * s->size) {
		room->laps = 0;
		room->since_ns = os_now_ns();
	}
	room->pos = s->prod;
	if (++room->laps < need && !(small && room->stuck))
		return false;
	room->stuck = false;
	small = small || os_now_ns() - room->since_ns <= room->laps * (uint64_t)LAP_NS;
	room->laps = 0;
	if (small)
		atomic_store(&room->wanted, true);
	return small;
}

/* The next size, within the limit. */
static unsigned int larger(const struct xvmc_service *sv, const struct xvmc_endpoint *ep)
{
	unsigned int usual = sv->ctx->opt.order;
	bool small = ep->conn.tx.s.size < bytes_of(usual);
	unsigned int order = small ? usual : most_order(sv);

	while (order && bytes_of(order) > ep->room.limit)
		order--;
	return order;
}

/* It has a ring that is to stay. */
static bool has_ring(const struct xvmc_endpoint *ep)
{
	const struct xvmc_ep_svc *s = &ep->svc;

	return s->asked && s->want_ring && !s->leaving && !s->closing && ep->conn.tx.attached;
}

bool grow_small(const struct xvmc_endpoint *ep)
{
	const struct sender_t *s = &ep->conn.tx.s;

	return s->size < bytes_of(ep->ctx->opt.order) && s->size < ep->room.limit;
}

void grow_look(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	struct xvmc_ag_pages ask = {
		.hdr = { .type = XVMC_AG_PAGES, .len = sizeof(ask) },
		.epid = ep->epid,
	};
	unsigned int order;

	if (!atomic_exchange(&ep->room.wanted, false))
		return;
	/* Who shares it with others would have to give it up to them on the way. */
	if (!has_ring(ep) || ep->svc.grow_asked || sv->agent.fd < 0 || fork_shared(ep))
		return;
	order = larger(sv, ep);
	if (bytes_of(order) <= ep->conn.tx.s.size)
		return;
	ask.pages = (uint32_t)((bytes_of(order) - ep->conn.tx.s.size) / XVMC_PAGE_SIZE);
	ask.more = order > ep->ctx->opt.order;
	ep->svc.grow_asked = true;
	xvmc_agent_send(&sv->agent, &ask.hdr);
}

void grow_answer(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		 const struct xvmc_ag_pages *answer)
{
	struct xvmc_ep_svc *s = &ep->svc;
	unsigned int order;

	if (!s->grow_asked)
		return;
	s->grow_asked = false;
	section_lock(&ep->conn.tx.lock);
	order = larger(sv, ep);
	if (answer->hdr.status < 0) {
		if (ep->room.denied < DENIED_MAX)
			ep->room.denied++;
		ep->room.laps = 0;
	} else if (has_ring(ep) && bytes_of(order) > ep->conn.tx.s.size) {
		s->order = (uint8_t)order;
		s->grows = true;
		drive_leave(sv, ep, XVMC_R_SETUP, false);
	}
	section_unlock(&ep->conn.tx.lock);
}

void grow_short(struct xvmc_service *sv)
{
	struct xvmc_ag_pages word = {
		.hdr = { .type = XVMC_AG_PAGES, .len = sizeof(word) },
	};

	xvmc_agent_send(&sv->agent, &word.hdr);
}

void grow_back(struct xvmc_service *sv)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &sv->known) {
		struct xvmc_endpoint *ep =
			xvmc_list_entry(it, struct xvmc_endpoint, svc_link);

		if (!is_larger(ep))
			continue;
		grow_no_more(ep);
		if (ep->svc.asked)
			drive_leave(sv, ep, XVMC_R_SETUP, false);
		xvmc_service_kick(ep);
	}
}
