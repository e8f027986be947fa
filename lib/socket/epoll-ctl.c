/* SPDX-License-Identifier: MIT */
/*
 * epoll_ctl. The kernel answers every call about a PLAIN descriptor, with its
 * own errors; here the books are kept of what the program was told. A MANAGED
 * one is ours alone, the kernel's registration being silenced.
 */
#include <errno.h>

#include "epoll.h"

static void fill(struct xvmc_epreg *reg, const struct epoll_event *ev)
{
	reg->events = ev->events;
	reg->data = ev->data;
	reg->own_data = reg->kind == EPREG_ENDPOINT && (ev->events & EPOLLONESHOT);
	reg->fired = false;
	reg->misses = 0;
	reg->last_rx = reg->last_tx = 0;
	reg->last_bits = 0;
}

/* Its number was closed, and is the same connection's again. */
static bool comes_back(struct xvmc_epreg *reg, int fd)
{
	int r = -ENOENT;

	section_lock(&reg->set->lock);
	if (reg->own_fd && reg->was == fd)
		r = epreg_rekey_back(reg);
	section_unlock(&reg->set->lock);
	return r == 0;
}

static struct xvmc_epreg *find(struct xvmc_epset *set, struct xvmc_endpoint *ep,
			       int fd)
{
	struct xvmc_epreg *reg;

	for (struct xvmc_list *it = ep->epregs.next; it != &ep->epregs; it = it->next) {
		reg = xvmc_list_entry(it, struct xvmc_epreg, ep_link);
		if (reg->set == set && (reg->fd == fd || comes_back(reg, fd)))
			return reg;
	}
	reg = epreg_find_early(set, fd);
	if (reg)
		epreg_adopt(reg, ep);
	return reg;
}

/* ---- connections ---- */

#define EXCLUSIVE_MAY                                                     \
	((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | \
		    EPOLLET | EPOLLEXCLUSIVE))

/* A call about an endpoint; epoll_lock held. why: the endpoint has to leave
 * its ring for good, since this set cannot wait for it. */
struct ctl {
	struct xvmc_epset *set;
	struct xvmc_endpoint *ep;
	int epfd, fd;
	struct epoll_event *ev;
	enum xvmc_reason why;
};

/* Programs that delete and add with every request are common. */
static void unpark(struct ctl *c, struct xvmc_epreg *reg)
{
	section_lock(&c->set->lock);
	fill(reg, c->ev);
	reg->own_data = true;
	reg->parked = false;
	epreg_heat(reg);
	epreg_news(reg);
	section_unlock(&c->set->lock);
}

static int ep_add(struct ctl *c)
{
	struct xvmc_epolls *e = c->set->ctx->epolls;
	struct xvmc_epreg *old = find(c->set, c->ep, c->fd);
	struct xvmc_epreg *reg;
	struct epoll_event kev;
	int r;

	if ((c->ev->events & EPOLLEXCLUSIVE) && (c->ev->events & ~EXCLUSIVE_MAY))
		return os_epoll_ctl(c->epfd, EPOLL_CTL_ADD, c->fd, c->ev);
	if (old && old->parked) {
		unpark(c, old);
		return 0;
	}
	reg = epreg_new(e, EPREG_ENDPOINT);
	if (!reg) {
		c->why = XVMC_R_NO_MEMORY;
		return os_epoll_ctl(c->epfd, EPOLL_CTL_ADD, c->fd, c->ev);
	}
	fill(reg, c->ev);
	reg->fd = c->fd;
	reg->set = c->set;
	kev = epreg_kernel_event(reg);
	r = os_epoll_ctl(c->epfd, EPOLL_CTL_ADD, c->fd, &kev);
	section_lock(&c->set->lock);
	if (r < 0) {
		epreg_free(e, reg);
	} else {
		if (old) /* of a descriptor that has been closed since */
			epreg_drop(old);
		epreg_join(reg, c->ep);
		if (xvmc_ep_managed(c->ep)) {
			int m = epreg_manage(reg);

			if (m < 0 && m != -EAGAIN)
				c->why = XVMC_R_NO_FDS;
		}
	}
	section_unlock(&c->set->lock);
	return r;
}

static int ep_mod(struct ctl *c)
{
	struct xvmc_epreg *reg = find(c->set, c->ep, c->fd);
	struct xvmc_epreg before;
	struct epoll_event kev;
	int r = 0;

	if (!reg)
		return os_epoll_ctl(c->epfd, EPOLL_CTL_MOD, c->fd, c->ev);
	if (reg->parked)
		return -ENOENT;
	if (reg->events & EPOLLEXCLUSIVE)
		return -EINVAL; /* the kernel does not know that it is */
	if (c->ev->events & EPOLLEXCLUSIVE)
		return os_epoll_ctl(c->epfd, EPOLL_CTL_MOD, c->fd, c->ev);
	section_lock(&c->set->lock);
	before = *reg;
	fill(reg, c->ev);
	if (reg->managed) {
		reg->own_data = true;
		epreg_heat(reg);
		epreg_news(reg);
	} else {
		/* Before the kernel's, which may fire at once. */
		kev = epreg_kernel_event(reg);
		r = os_epoll_ctl(c->epfd, EPOLL_CTL_MOD, c->fd, &kev);
		if (r == -ENOENT) {
			epreg_drop(reg);
		} else if (r < 0) {
			reg->events = before.events;
			reg->data = before.data;
			reg->own_data = before.own_data;
			reg->fired = before.fired;
		}
	}
	section_unlock(&c->set->lock);
	return r;
}

static int ep_del(struct ctl *c)
{
	struct xvmc_epreg *reg = find(c->set, c->ep, c->fd);
	int r;

	if (reg && reg->parked)
		return -ENOENT;
	if (reg && reg->managed) {
		section_lock(&c->set->lock);
		epreg_cool(reg);
		reg->parked = reg->fired = true;
		section_unlock(&c->set->lock);
		return 0;
	}
	r = os_epoll_ctl(c->epfd, EPOLL_CTL_DEL, c->fd, NULL);
	if (reg && (r == 0 || r == -ENOENT)) {
		section_lock(&c->set->lock);
		epreg_drop(reg);
		section_unlock(&c->set->lock);
	}
	return r;
}

static int ctl_endpoint(struct xvmc_epset *set, struct xvmc_endpoint *ep, int epfd,
			int op, int fd, struct epoll_event *ev)
{
	struct ctl c = { set, ep, epfd, fd, ev, XVMC_R_NONE };
	int r;

	section_lock(&set->ctx->epoll_lock);
	r = op == EPOLL_CTL_ADD ? ep_add(&c) :
	    op == EPOLL_CTL_MOD ? ep_mod(&c) :
				  ep_del(&c);
	section_unlock(&set->ctx->epoll_lock);
	if (c.why)
		xvmc_sock_escape(ep, c.why);
	return r;
}

/* ---- what is no connection (yet) ---- */

/*
 * A descriptor that is no endpoint. It may become one: programs register a
 * socket and connect it afterwards. So what the kernel was told is written
 * down; closed numbers leave stale notes behind, which the next ADD, or the
 * kernel's ENOENT when they are used, corrects.
 */
static int ctl_early(struct xvmc_epset *set, int epfd, int op, int fd,
		     struct epoll_event *ev)
{
	struct xvmc_ctx *ctx = set->ctx;
	struct xvmc_epreg *reg;
	int r;

	section_lock(&ctx->epoll_lock);
	r = os_epoll_ctl(epfd, op, fd, ev);
	if (r == 0) {
		reg = epreg_find_early(set, fd);
		if (op == EPOLL_CTL_DEL) {
			if (reg)
				epreg_drop(reg);
		} else {
			if (!reg)
				reg = epreg_new(ctx->epolls, EPREG_EARLY);
			if (reg && !reg->set) {
				reg->fd = fd;
				reg->set = set;
				xvmc_list_add(epset_early(set, fd), &reg->set_link);
			}
			if (reg)
				fill(reg, ev);
			else
				ctx->epolls->blind = true;
		}
	}
	section_unlock(&ctx->epoll_lock);
	return r;
}

/* ---- the call ---- */

/* An instance we did not see made: inherited, or received. */
static struct xvmc_epset *set_of(struct xvmc_ctx *ctx, int epfd, bool *ret_new)
{
	struct xvmc_obj *obj = xvmc_fd_get(ctx, epfd);

	*ret_new = false;
	if (!obj) {
		xvmc_epoll_created(ctx, epfd);
		obj = xvmc_fd_get(ctx, epfd);
		*ret_new = obj != NULL;
	}
	if (obj && obj->kind != XVMC_OBJ_EPSET) {
		xvmc_obj_put(ctx, obj);
		obj = NULL;
	}
	return (struct xvmc_epset *)(void *)obj;
}

static int ctl(struct xvmc_ctx *ctx, struct xvmc_epset *set, int epfd, int op,
	       int fd, struct epoll_event *ev)
{
	struct xvmc_obj *target = xvmc_fd_get(ctx, fd);
	int r;

	if (!target)
		return ctl_early(set, epfd, op, fd, ev);
	if (target->kind == XVMC_OBJ_ENDPOINT) {
		struct xvmc_endpoint *ep = (struct xvmc_endpoint *)(void *)target;

		if (xvmc_ep_lacks(ep) && op != EPOLL_CTL_DEL) {
			xvmc_sock_hold(ep, HOLD_BOTH);
			epset_claim_severed(set);
		}
		r = ctl_endpoint(set, ep, epfd, op, fd, ev);
		/* The hold was given back in between; now it cannot be. */
		if (r == 0 && op != EPOLL_CTL_DEL)
			xvmc_sock_use(ep, HOLD_BOTH);
	} else {
		r = epset_ctl_nested(set, (struct xvmc_epset *)(void *)target, epfd,
				     op, fd, ev);
	}
	xvmc_obj_put(ctx, target);
	return r;
}

int xvmc_epoll_ctl(struct xvmc_ctx *ctx, int epfd, int op, int fd,
		   struct epoll_event *ev)
{
	struct xvmc_endpoint *ep;
	struct xvmc_epset *set;
	bool made;
	int r;

	if (xvmc_fd_internal(ctx, fd) || xvmc_fd_internal(ctx, epfd))
		return -EBADF;
	if ((op != EPOLL_CTL_DEL && !ev) || epfd < 0 || fd < 0 ||
	    (op != EPOLL_CTL_ADD && op != EPOLL_CTL_MOD && op != EPOLL_CTL_DEL))
		return os_epoll_ctl(epfd, op, fd, ev);
	set = set_of(ctx, epfd, &made);
	if (!set) {
		/* No memory for our books, or no epoll instance at all. */
		r = os_epoll_ctl(epfd, op, fd, ev);
		ep = r == 0 ? xvmc_ep_get(ctx, fd) : NULL;
		if (ep) {
			xvmc_sock_escape(ep, XVMC_R_NO_MEMORY);
			xvmc_ep_put(ep);
		}
		return r;
	}
	r = ctl(ctx, set, epfd, op, fd, ev);
	if (r < 0 && made)
		fdtab_set(ctx, epfd, NULL); /* most likely no epoll instance */
	xvmc_obj_put(ctx, &set->obj);
	return r;
}
