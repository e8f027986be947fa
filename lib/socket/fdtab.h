/* SPDX-License-Identifier: MIT */
/*
 * The fd table: descriptor to object, wait-free for readers. A reader takes a
 * reference and then looks whether the table still says the same; objects are
 * type-stable (their memory is kept for the next one), so losing that race
 * only costs a retry. Every call on a followed connection comes by here.
 */
#ifndef XVMC_SOCKET_FDTAB_H
#define XVMC_SOCKET_FDTAB_H

#include "socket.h"

/* What is behind fd, without a reference: only for "is there anything at all".
 * Pairs with fdtab_set. */
static inline struct xvmc_obj *xvmc_fd_peek(const struct xvmc_ctx *ctx, int fd)
{
	if ((unsigned int)fd >= ctx->nfds)
		return NULL;
	return atomic_load_explicit(&ctx->fds[fd], memory_order_acquire);
}

/*
 * What the program has made at a number by socket(2), and what it has set of that
 * since: so much need not be asked of the kernel when it connects, or accepts. A
 * hint: who takes up a number by ways that nobody sees finds an older socket's, so
 * what it says is looked at again before there are rings.
 */
#define XVMC_MADE_TCP 1u
#define XVMC_MADE_NONBLOCK 2u

/* of: what it is now; 0 if that is not known. */
static inline void xvmc_fd_made(struct xvmc_ctx *ctx, int fd, uint8_t of)
{
	if ((unsigned int)fd < ctx->nfds && ctx->made[fd] != of)
		ctx->made[fd] = of;
}

static inline uint8_t xvmc_fd_made_of(const struct xvmc_ctx *ctx, int fd)
{
	return (unsigned int)fd < ctx->nfds ? ctx->made[fd] : 0;
}

/* For xvmc_obj_put: a thread still inside may have kept it from being closed; the
 * last reference is gone. */
void xvmc_obj_close_late(struct xvmc_obj *obj);
void xvmc_obj_end(struct xvmc_ctx *ctx, struct xvmc_obj *obj);

static inline void xvmc_obj_put(struct xvmc_ctx *ctx, struct xvmc_obj *obj)
{
	if (__builtin_expect(obj->kind == XVMC_OBJ_ENDPOINT, 1) &&
	    atomic_load_explicit(&((struct xvmc_endpoint *)(void *)obj)->close_later,
				 memory_order_relaxed))
		xvmc_obj_close_late(obj);
	if (atomic_fetch_sub_explicit(&obj->users, 1, memory_order_acq_rel) == 1)
		xvmc_obj_end(ctx, obj);
}

/* Takes a reference to what was seen behind fd; false: it is not there any more. */
static inline bool xvmc_obj_hold(struct xvmc_ctx *ctx, struct xvmc_obj *obj, int fd)
{
	atomic_fetch_add_explicit(&obj->users, 1, memory_order_acq_rel);
	if (__builtin_expect(xvmc_fd_peek(ctx, fd) == obj, 1))
		return true;
	xvmc_obj_put(ctx, obj);
	return false;
}

/* The object behind fd with a reference taken, or NULL. */
static inline struct xvmc_obj *xvmc_fd_get(struct xvmc_ctx *ctx, int fd)
{
	struct xvmc_obj *obj;

	do
		obj = xvmc_fd_peek(ctx, fd);
	while (obj && !xvmc_obj_hold(ctx, obj, fd));
	return obj;
}

/* The endpoint behind fd with a reference, or NULL. */
static inline struct xvmc_endpoint *xvmc_ep_get(struct xvmc_ctx *ctx, int fd)
{
	struct xvmc_obj *obj = xvmc_fd_get(ctx, fd);

	if (!obj)
		return NULL;
	if (obj->kind != XVMC_OBJ_ENDPOINT) {
		xvmc_obj_put(ctx, obj);
		return NULL;
	}
	return (struct xvmc_endpoint *)(void *)obj;
}

static inline void xvmc_ep_put(struct xvmc_endpoint *ep)
{
	xvmc_obj_put(ep->ctx, &ep->obj);
}

/* The endpoint behind fd without a reference, or NULL. It may be another's as soon as
 * this has returned. */
static inline struct xvmc_endpoint *xvmc_ep_peek(struct xvmc_ctx *ctx, int fd)
{
	struct xvmc_obj *obj = xvmc_fd_peek(ctx, fd);

	return obj && obj->kind == XVMC_OBJ_ENDPOINT ? (struct xvmc_endpoint *)(void *)obj : NULL;
}

/* A reference to one that was peeked at, or NULL: it is not the one behind fd. */
static inline struct xvmc_endpoint *xvmc_ep_hold(struct xvmc_endpoint *ep, int fd)
{
	return xvmc_obj_hold(ep->ctx, &ep->obj, fd) ? ep : NULL;
}

#endif
