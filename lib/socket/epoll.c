/* SPDX-License-Identifier: MIT */
/*
 * epoll_create and epoll_ctl: what is registered where. The kernel answers
 * every call about a PLAIN descriptor, with its own errors; this file keeps
 * the books. epoll-managed.c takes registrations over, epoll-wait.c waits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "epoll.h"
#include "spin.h"

/* ---- the arena ---- */

int epolls_get(struct xvmc_ctx *ctx, struct xvmc_epolls **ret_e)
{
	struct xvmc_epolls *e = ctx->epolls;
	void *arena;

	if (!e) {
		e = calloc(1, sizeof(*e));
		if (!e)
			return -ENOMEM;
		arena = mmap(NULL, EPREG_ARENA, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (arena == MAP_FAILED) {
			free(e);
			return -ENOMEM;
		}
		e->arena = arena;
		xvmc_list_init(&e->sets);
		xvmc_list_init(&e->free);
		ctx->epolls = e;
	}
	*ret_e = e;
	return 0;
}

struct xvmc_epreg *epreg_new(struct xvmc_epolls *e, enum epreg_kind kind)
{
	struct xvmc_epreg *reg;
	uint8_t gen;

	if (!xvmc_list_empty(&e->free)) {
		reg = xvmc_list_entry(e->free.next, struct xvmc_epreg, set_link);
		xvmc_list_del(&reg->set_link);
	} else if (e->used < EPREG_MAX) {
		reg = (struct xvmc_epreg *)(void *)(e->arena +
						    (size_t)e->used++ * EPREG_SIZE);
	} else {
		return NULL;
	}
	gen = reg->gen;
	memset(reg, 0, sizeof(*reg));
	reg->gen = gen;
	reg->kind = (uint8_t)kind;
	return reg;
}

void epreg_free(struct xvmc_epolls *e, struct xvmc_epreg *reg)
{
	reg->kind = EPREG_FREE;
	reg->gen = (uint8_t)((reg->gen + 1u) % EPREG_SIZE);
	reg->set = NULL;
	reg->ep = NULL;
	xvmc_list_add(&e->free, &reg->set_link);
}

/* ---- registrations ---- */

static struct xvmc_list *bucket(struct xvmc_epset *set, int fd)
{
	return &set->early[(unsigned int)fd % EPSET_BUCKETS];
}

struct xvmc_epreg *epreg_find_early(struct xvmc_epset *set, int fd)
{
	struct xvmc_list *head = bucket(set, fd);

	for (struct xvmc_list *it = head->next; it != head; it = it->next) {
		struct xvmc_epreg *reg =
			xvmc_list_entry(it, struct xvmc_epreg, set_link);

		if (reg->fd == fd)
			return reg;
	}
	return NULL;
}

/* What the kernel holds, or shall hold, for a registration. */
struct epoll_event epreg_kernel_event(const struct xvmc_epreg *reg)
{
	struct epoll_event ev = { .events = reg->events, .data = reg->data };

	if (reg->kind == EPREG_ENDPOINT) {
		/* An exclusive registration cannot be modified, and a
		 * connection has no herd to keep from thundering. */
		ev.events &= ~(uint32_t)EPOLLEXCLUSIVE;
		if (reg->own_data)
			ev.data.u64 = epreg_tag(reg);
		if (reg->managed)
			ev.events = EPOLLET;
		else if (reg->fired)
			ev.events = EPOLLONESHOT | EPOLLET;
	}
	return ev;
}

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

static void join(struct xvmc_epreg *reg, struct xvmc_endpoint *ep)
{
	reg->kind = EPREG_ENDPOINT;
	reg->ep = ep;
	xvmc_list_add(&ep->epregs, &reg->ep_link);
	xvmc_list_add(&reg->set->regs, &reg->set_link);
}

void epreg_adopt(struct xvmc_epreg *reg, struct xvmc_endpoint *ep)
{
	/* Whether a one-shot has fired meanwhile is not known: the kernel
	 * holds the application's data. It counts as armed: one report too
	 * many is better than none. The first MOD ends the doubt. */
	xvmc_list_del(&reg->set_link);
	join(reg, ep);
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

/* ---- sets ---- */

static struct xvmc_epset *epset_alloc(struct xvmc_ctx *ctx)
{
	struct xvmc_epset *set;

	section_lock(&ctx->lock);
	set = (struct xvmc_epset *)(void *)ctx->free_sets;
	if (set)
		ctx->free_sets = set->obj.free_next;
	section_unlock(&ctx->lock);
	if (set)
		return set;
	set = calloc(1, sizeof(*set));
	if (set)
		pthread_mutex_init(&set->lock, NULL);
	return set;
}

void xvmc_epoll_created(struct xvmc_ctx *ctx, int epfd)
{
	struct xvmc_epolls *e;
	struct xvmc_epset *set;

	if ((unsigned int)epfd >= ctx->nfds)
		return;
	section_lock(&ctx->epoll_lock);
	set = epolls_get(ctx, &e) == 0 ? epset_alloc(ctx) : NULL;
	if (!set) {
		section_unlock(&ctx->epoll_lock);
		return;
	}
	set->ctx = ctx;
	set->epfd = epfd;
	set->inner = set->kfd = set->flag = -1;
	set->mark = NULL;
	set->nmanaged = set->nsevered = set->sleepers = 0;
	set->watched = false;
	set->nhot = set->since_kernel = 0;
	set->kernel_ns = 0;
	spin_init(ctx, &set->spin);
	xvmc_list_init(&set->regs);
	xvmc_list_init(&set->managed);
	xvmc_list_init(&set->hot);
	xvmc_list_init(&set->nested);
	xvmc_list_init(&set->outers);
	for (size_t i = 0; i < EPSET_BUCKETS; i++)
		xvmc_list_init(&set->early[i]);
	xvmc_list_add(&e->sets, &set->all_link);
	xvmc_obj_init(&set->obj, XVMC_OBJ_EPSET);
	section_unlock(&ctx->epoll_lock);
	fdtab_set(ctx, epfd, &set->obj);
}

static void drop_all(struct xvmc_list *head)
{
	while (!xvmc_list_empty(head))
		epreg_drop(xvmc_list_entry(head->next, struct xvmc_epreg, set_link));
}

void xvmc_epset_free(struct xvmc_ctx *ctx, struct xvmc_obj *obj)
{
	struct xvmc_epset *set = (struct xvmc_epset *)(void *)obj;

	section_lock(&ctx->epoll_lock);
	epset_drop_nested(set);
	section_lock(&set->lock);
	drop_all(&set->managed);
	drop_all(&set->regs);
	for (size_t i = 0; i < EPSET_BUCKETS; i++)
		drop_all(&set->early[i]);
	if (set->mark)
		epreg_free(ctx->epolls, set->mark);
	set->mark = NULL;
	if (set->inner >= 0)
		os_close(set->inner);
	if (set->flag >= 0)
		os_close(set->flag);
	if (set->kfd >= 0)
		os_close(set->kfd);
	set->inner = set->kfd = set->flag = -1;
	xvmc_list_del(&set->all_link);
	section_unlock(&set->lock);
	section_unlock(&ctx->epoll_lock);
	section_lock(&ctx->lock);
	set->obj.free_next = ctx->free_sets;
	ctx->free_sets = &set->obj;
	section_unlock(&ctx->lock);
}

void xvmc_epoll_deinit(struct xvmc_ctx *ctx)
{
	struct xvmc_epolls *e = ctx->epolls;

	if (!e)
		return;
	ctx->epolls = NULL;
	munmap(e->arena, EPREG_ARENA);
	free(e);
	while (ctx->free_sets) {
		struct xvmc_obj *obj = ctx->free_sets;

		ctx->free_sets = obj->free_next;
		free(obj);
	}
}

/* ---- epoll_ctl ---- */

#define EXCLUSIVE_MAY                                                     \
	((uint32_t)(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | \
		    EPOLLET | EPOLLEXCLUSIVE))

/* A call about an endpoint; epoll_lock held. *ret_why: the endpoint has to
 * leave its ring for good, since this set cannot wait for it. */
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
		join(reg, c->ep);
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
				xvmc_list_add(bucket(set, fd), &reg->set_link);
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

		if (ep->inherited && op != EPOLL_CTL_DEL) {
			xvmc_sock_inherited_use(ep);
			epset_claim_severed(set);
		}
		r = ctl_endpoint(set, ep, epfd, op, fd, ev);
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
