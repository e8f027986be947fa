/* SPDX-License-Identifier: MIT */
/*
 * Around fork: the parent keeps its rings, the child holds nothing (hold.h), and
 * without rings the parent neither.
 *
 * After a fork two processes have the same TCP socket open, and only one of
 * them may read or write it by anything but plain calls. So every connection
 * gets a hold in memory that both share, at the first fork it lives through.
 * The fork itself takes no hold: a child that only closes what it inherited
 * costs nobody anything. What
 * happens when the child uses a connection is fork-use.c's.
 */
#include <string.h>

#include "arena.h"

static void give_hold(struct xvmc_endpoint *ep, struct hold_arena *arena)
{
	struct hold *h = &arena->holds[arena->users++];

	hold_init(h, ep->owned ? ep->ctx->pid : 0);
	h->link = ep->conn.link;
	h->epid = ep->epid;
	ep->hold_arena = arena;
	atomic_store(&ep->hold, h);
	/* Pairs with fork_spoil: one of us sees what the other has written. */
	if (ep->spoilt)
		hold_spoil(h);
}

/* One more fork, one more arena for the endpoints that have no hold yet. */
static void give_holds(struct xvmc_ctx *ctx)
{
	struct xvmc_list *it, *tmp;
	struct hold_arena *arena;
	size_t n = 0;

	ctx->fork_rests = false;
	exec_note_stale(ctx);
	xvmc_list_each(it, tmp, &ctx->eps)
		n += !xvmc_list_entry(it, struct xvmc_endpoint, all_link)->hold;
	arena = n ? arena_new(ctx, n) : NULL;
	xvmc_list_each(it, tmp, &ctx->eps) {
		struct xvmc_endpoint *ep =
			xvmc_list_entry(it, struct xvmc_endpoint, all_link);

		/* Not written where it stands: the pages are the last child's,
		 * too, perhaps. */
		if (!ep->forked || !ep->fork_idle)
			ep->forked = ep->fork_idle = true;
		if (!ep->hold && arena)
			give_hold(ep, arena);
		if (ep->hold && ep->counted)
			hold_open(ep->hold); /* though the fork may fail */
		/* The child's stdio asks nobody. Owned, it is not there yet. */
		ep->born_held = ep->stdio && !ep->owned && !xvmc_ep_lacks(ep);
		if (ep->hold && ep->born_held)
			hold_take(ep->hold, HOLD_BOTH);
		/* Whoever is to use it may be the child; we ask as well. */
		ctx->fork_rests |= fork_rest(ep) > 0;
	}
	if (arena)
		arena_hear(ctx, arena); /* for those that are owned already */
}

void xvmc_ctx_fork_prepare(struct xvmc_ctx *ctx)
{
	section_lock(&ctx->epoll_lock);
	xvmc_epoll_fork_prepare(ctx);
	section_lock(&ctx->service_lock);
	section_lock(&ctx->lock);
	xvmc_numbers_use(); /* or the child had one of ours at a low number */
	give_holds(ctx);
}

/* What is not ours to use any more is not to be found under our name. */
static void withdraw(struct xvmc_endpoint *ep, void *arg)
{
	(void)arg;
	if (xvmc_ep_lacks(ep) && ep->nfds &&
	    (ep->state == XVMC_EP_QUEUED || ep->state == XVMC_EP_REGISTERED))
		xvmc_service_kick(ep);
}

void xvmc_ctx_fork_parent(struct xvmc_ctx *ctx)
{
	bool rests = ctx->fork_rests && ctx->service;

	xvmc_numbers_used();
	section_unlock(&ctx->lock);
	section_unlock(&ctx->service_lock);
	xvmc_epoll_fork_parent(ctx);
	section_unlock(&ctx->epoll_lock);
	if (rests)
		endpoint_each(ctx, withdraw, NULL);
}

static void close_own(struct xvmc_endpoint *ep)
{
	if (ep->io_fd >= 0)
		os_close(ep->io_fd);
	if (ep->rx_poke_fd >= 0)
		os_close(ep->rx_poke_fd);
	if (ep->tx_poke_fd >= 0)
		os_close(ep->tx_poke_fd);
	endpoint_let_go(ep);
}

/*
 * A new life for an endpoint of the parent's. The channels' descriptors are the
 * hypervisor handle's, which closes them in xvmc_hv_abandon; the pages do not
 * exist in this process; bytes that the parent took early are its own to
 * deliver, and another thread may just have been moving them. Locks that other
 * threads of the parent held are nobody's here.
 */
static void disown(struct xvmc_endpoint *ep)
{
	/* Another thread's exec is not ours; nor is a number not yet there. */
	bool pinned = ep->spoilt || ep->born_held ||
		      (ep->state == XVMC_EP_PINNED && ep->reason != XVMC_R_FORK);
	uint32_t reason = ep->reason;
	bool shut = ep->conn.tx.shut;

	if (!ep->born_held)
		ep->stdio = 0;
	/* Worth a ring is what this process does with it: one that ends after a
	 * word, or is killed, leaves no rings behind. */
	ep->ops = 0;
	close_own(ep);
	memset(&ep->work_link, 0, sizeof(ep->work_link));
	memset(&ep->svc_link, 0, sizeof(ep->svc_link));
	/* Without a hold nobody would know of an owner. */
	ep->orphan = !ep->hold && ep->owned;
	endpoint_restart(ep);
	ep->conn.tx.shut = shut;
	ep->state = pinned ? XVMC_EP_PINNED : XVMC_EP_TRACKED;
	ep->reason = pinned ? reason : XVMC_R_FORK;
	/* Every call comes by xvmc_sock_hold first. */
	ep->rx_gate = ep->tx_gate = ep->born_held ? 0 : XVMC_GATE_LACKS;
}

void xvmc_ctx_fork_child(struct xvmc_ctx *ctx)
{
	struct xvmc_list *it, *tmp;

	/* Taken by this thread, before the fork; so are those of the sets. */
	pthread_mutex_unlock(&ctx->lock);
	pthread_mutex_unlock(&ctx->service_lock);
	pthread_mutex_unlock(&ctx->epoll_lock);
	xvmc_list_each(it, tmp, &ctx->eps) {
		struct xvmc_endpoint *ep =
			xvmc_list_entry(it, struct xvmc_endpoint, all_link);

		xvmc_conn_init_locks(&ep->conn);
		disown(ep);
	}
	for (struct xvmc_obj *obj = ctx->free_eps; obj; obj = obj->free_next)
		xvmc_conn_init_locks(&((struct xvmc_endpoint *)(void *)obj)->conn);
	xvmc_numbers_used();
	xvmc_numbers_fork_child();
	xvmc_epoll_fork_child(ctx);
	service_forget(ctx);
	stats_fork_child(ctx);
	ctx->execs = 0;
	exec_note_forget(ctx);
	ctx->pid = os_getpid();
	/* All of them: from here on handlers run again. */
	xvmc_section_fork_child();
}

void fork_end(struct xvmc_endpoint *ep)
{
	if (!ep->hold)
		return;
	if (!ep->owned)
		fork_give(ep, HOLD_BOTH & ~xvmc_ep_lacks(ep));
	fork_closed(ep);
	section_lock(&ep->ctx->lock);
	atomic_store(&ep->hold, NULL);
	arena_put(ep->ctx, ep->hold_arena);
	ep->hold_arena = NULL;
	section_unlock(&ep->ctx->lock);
}
