/* SPDX-License-Identifier: MIT */
/*
 * epoll registrations and the life of descriptors and processes: numbers
 * that are closed while registered, and fork, after which parent and child
 * share the kernel's instances, but not our memory.
 */
#include <errno.h>

#include "epoll.h"

/* ---- close ---- */

/* Will the file stay open for a while, by a duplicate of ours? */
static bool outlived(const struct xvmc_epreg *reg)
{
	const struct xvmc_endpoint *ep = reg->ep;

	return !ep->forked && !xvmc_ep_lacks(ep) && (reg->own_fd || ep->io_fd >= 0);
}

/* Somebody else may have the file open, so that the kernel goes on reporting it:
 * as the program would have it, then, not by our data. */
static void give_back(struct xvmc_epset *set, struct xvmc_epreg *reg)
{
	struct epoll_event kev;

	if (!reg->own_data || reg->fired || !(reg->ep->forked || reg->ep->spoilt))
		return;
	reg->own_data = false;
	kev = epreg_kernel_event(reg);
	os_epoll_ctl(epset_kernel_fd(set), EPOLL_CTL_MOD, reg->fd, &kev);
}

/*
 * The kernel forgets a registration when the last descriptor of the file is
 * closed, not when this number is. The last one: where a duplicate of ours may
 * outlive it the registration is removed here, else the kernel removes it. (Not
 * where a child has the socket open, too.) Not the last one: it lives
 * on (epreg_rekey). Where there is no descriptor left for that, the connection
 * goes to TCP for good, and the registration is the kernel's alone.
 */
static bool close_regs(struct xvmc_endpoint *ep, int fd, bool last, bool escaped)
{
	struct xvmc_list *it, *tmp;
	bool survivors = false;

	xvmc_list_each(it, tmp, &ep->epregs) {
		struct xvmc_epreg *reg =
			xvmc_list_entry(it, struct xvmc_epreg, ep_link);
		struct xvmc_epset *set = reg->set;

		if (reg->fd != fd && !last)
			continue;
		section_lock(&set->lock);
		if (last || xvmc_ep_lacks(ep) || reg->parked ||
		    (escaped && reg->managed)) {
			if (reg->fd >= 0 && (reg->managed || outlived(reg)))
				os_epoll_ctl(epset_kernel_fd(set), EPOLL_CTL_DEL,
					     reg->fd, NULL);
			else if (reg->fd >= 0)
				give_back(set, reg);
			epreg_drop(reg);
		} else if (!escaped && atomic_load(&ep->state) != XVMC_EP_PINNED) {
			survivors |= epreg_rekey(reg) < 0;
		} else if (reg->events & EPOLLONESHOT) {
			reg->fd = -1; /* stays, to translate our data */
		} else {
			epreg_drop(reg); /* the kernel's alone from now on */
		}
		section_unlock(&set->lock);
	}
	return survivors;
}

void xvmc_epoll_fd_closed(struct xvmc_ctx *ctx, struct xvmc_endpoint *ep, int fd)
{
	bool last = atomic_load(&ep->nfds) <= 1;
	bool survivors;

	/* Who adds it now could do so after us just as well. */
	if (!xvmc_epoll_holds(ep))
		return;
	section_lock(&ctx->epoll_lock);
	survivors = close_regs(ep, fd, last, false);
	section_unlock(&ctx->epoll_lock);
	if (!survivors)
		return;
	xvmc_sock_escape(ep, XVMC_R_UNFOLLOWED);
	section_lock(&ctx->epoll_lock);
	close_regs(ep, fd, false, true);
	section_unlock(&ctx->epoll_lock);
}

/* ---- fork ---- */

static struct xvmc_list *first_set(struct xvmc_ctx *ctx)
{
	return ctx->epolls ? ctx->epolls->sets.next : NULL;
}

static struct xvmc_epset *set_at(struct xvmc_list *it)
{
	return xvmc_list_entry(it, struct xvmc_epset, all_link);
}

void xvmc_epoll_fork_prepare(struct xvmc_ctx *ctx)
{
	for (struct xvmc_list *it = first_set(ctx); it && it != &ctx->epolls->sets;
	     it = it->next)
		section_lock(&set_at(it)->lock);
}

void xvmc_epoll_fork_parent(struct xvmc_ctx *ctx)
{
	for (struct xvmc_list *it = first_set(ctx); it && it != &ctx->epolls->sets;
	     it = it->next)
		section_unlock(&set_at(it)->lock);
}

/*
 * The child has every socket inherited and has used none; in the kernel's
 * instance, which it shares, what the parent manages is quiet and carries our
 * data. All of it is marked severed, and claimed when the child waits on the
 * set. The parent's inner instance stays where it is: its events are
 * recognised and left to the parent.
 */
static void sever(struct xvmc_epset *set)
{
	struct xvmc_list *it, *tmp;

	while (!xvmc_list_empty(&set->managed)) {
		struct xvmc_epreg *reg = xvmc_list_entry(
			set->managed.next, struct xvmc_epreg, set_link);

		epreg_cool(reg);
		for (int i = 0; i < reg->nbells; i++)
			if (reg->dup_bells & 1u << i)
				os_close(reg->bell[i]);
		reg->nbells = 0;
		reg->dup_bells = 0;
		reg->managed = false;
		xvmc_list_del(&reg->set_link);
		xvmc_list_add(&set->regs, &reg->set_link);
	}
	xvmc_list_each(it, tmp, &set->regs) {
		struct xvmc_epreg *reg =
			xvmc_list_entry(it, struct xvmc_epreg, set_link);

		if (!reg->severed && !reg->parked && xvmc_ep_lacks(reg->ep)) {
			reg->severed = true;
			atomic_fetch_add(&set->nsevered, 1);
		}
	}
	atomic_store(&set->nmanaged, 0);
	atomic_store(&set->sleepers, 0);
	if (set->inner >= 0)
		os_close(set->inner);
	if (set->flag >= 0)
		os_close(set->flag);
	set->inner = set->flag = -1;
	if (set->mark)
		set->mark->kind = EPREG_FOREIGN; /* never freed */
	set->mark = NULL;
}

void xvmc_epoll_fork_child(struct xvmc_ctx *ctx)
{
	for (struct xvmc_list *it = first_set(ctx); it && it != &ctx->epolls->sets;
	     it = it->next) {
		sever(set_at(it));
		pthread_mutex_unlock(&set_at(it)->lock);
	}
}

/* A severed registration's endpoint, with a reference; epoll_lock held. */
static struct xvmc_endpoint *severed_ep(struct xvmc_epset *set)
{
	for (struct xvmc_list *it = set->regs.next; it != &set->regs; it = it->next) {
		struct xvmc_epreg *reg =
			xvmc_list_entry(it, struct xvmc_epreg, set_link);

		if (reg->severed) {
			atomic_fetch_add(&reg->ep->obj.users, 1);
			return reg->ep;
		}
	}
	return NULL;
}

/* The kernel's registration is the application's again. The owner, if it
 * still lives, has done the same thing with the same values. */
static void restore(struct xvmc_epset *set, struct xvmc_endpoint *ep)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &ep->epregs) {
		struct xvmc_epreg *reg =
			xvmc_list_entry(it, struct xvmc_epreg, ep_link);
		struct epoll_event kev;

		if (reg->set != set || !reg->severed)
			continue;
		if (reg->parked) {
			epreg_drop(reg);
			continue;
		}
		reg->severed = false;
		atomic_fetch_sub(&set->nsevered, 1);
		reg->own_data = (reg->events & EPOLLONESHOT) != 0;
		kev = epreg_kernel_event(reg);
		if (set->kfd >= 0) /* else it never was away from the kernel */
			os_epoll_ctl(set->kfd, EPOLL_CTL_MOD, reg->fd, &kev);
	}
}

void epset_claim_severed(struct xvmc_epset *set)
{
	struct xvmc_ctx *ctx = set->ctx;

	while (atomic_load(&set->nsevered)) {
		struct xvmc_endpoint *ep;

		section_lock(&ctx->epoll_lock);
		ep = severed_ep(set);
		section_unlock(&ctx->epoll_lock);
		if (!ep)
			return;
		/* Waiting for it is using it: the owner goes to TCP. And there
		 * it stays: our bells cannot be in an instance that another
		 * process waits on. */
		xvmc_sock_escape(ep, XVMC_R_UNFOLLOWED);
		section_lock(&ctx->epoll_lock);
		section_lock(&set->lock);
		restore(set, ep);
		section_unlock(&set->lock);
		section_unlock(&ctx->epoll_lock);
		xvmc_ep_put(ep);
	}
}
