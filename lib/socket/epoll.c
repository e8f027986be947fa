/* SPDX-License-Identifier: MIT */
/*
 * The books of epoll: sets, and the arena their registrations live in.
 * epoll-ctl.c writes them, epoll-managed.c takes registrations over,
 * epoll-wait.c waits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "epoll.h"
#include "spin.h"

/* ---- the arena ---- */

#define VEIL_SET 0x8000000000000000u   /* user space has no such address */
#define VEIL_CLEAR 0x40000000ffffffffu /* nor is it a small negative number */

_Atomic uint64_t epreg_veil;

static void draw_veil(void)
{
	uint64_t veil = os_now_ns() * 0x9e3779b97f4a7c15u, none = 0;

	OS3(SYS_getrandom, &veil, sizeof(veil), GRND_NONBLOCK);
	veil = (veil | VEIL_SET) & ~VEIL_CLEAR;
	atomic_compare_exchange_strong(&epreg_veil, &none, veil);
}

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
		draw_veil();
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

struct xvmc_list *epset_early(struct xvmc_epset *set, int fd)
{
	return &set->early[(unsigned int)fd % EPSET_BUCKETS];
}

struct xvmc_epreg *epreg_find_early(struct xvmc_epset *set, int fd)
{
	struct xvmc_list *head = epset_early(set, fd);

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

void epreg_join(struct xvmc_epreg *reg, struct xvmc_endpoint *ep)
{
	reg->kind = EPREG_ENDPOINT;
	reg->ep = ep;
	xvmc_list_add(&ep->epregs, &reg->ep_link);
	xvmc_list_add(&reg->set->regs, &reg->set_link);
}

void epreg_adopt(struct xvmc_epreg *reg, struct xvmc_endpoint *ep)
{
	xvmc_list_del(&reg->set_link);
	epreg_join(reg, ep);
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
