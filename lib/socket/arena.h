/* SPDX-License-Identifier: MIT */
/*
 * The memory that the holds (hold.h) of connections lie in since a fork: one
 * arena for all that got theirs at the same fork. Children have it by
 * inheritance; the program of an exec maps it again, by a descriptor that lives
 * as long as the arena. Beside it goes a bell, which everybody who has the
 * arena may ring: whoever owns a connection there then looks whether another
 * process wants to use it.
 */
#ifndef XVMC_SOCKET_ARENA_H
#define XVMC_SOCKET_ARENA_H

#include "hold.h"
#include "internal.h"

struct hold_arena {
	struct hold *holds;
	size_t size;
	int mem_fd;     /* -1: no descriptor was left, so it cannot cross an exec */
	int bell_fd;    /* -1: owners are asked through xvmcd alone */
	uint32_t users; /* endpoints of this process; under ctx->lock */
};

/* Room for n holds, all zero; or NULL. ctx->lock held. */
struct hold_arena *arena_new(struct xvmc_ctx *ctx, size_t n);
/* Of one that came by an exec, whose descriptors it takes over; or NULL. */
struct hold_arena *arena_again(struct xvmc_ctx *ctx, int mem_fd, int bell_fd, size_t size);
/* One endpoint less, ctx->lock held; the last one frees it. */
void arena_put(struct xvmc_ctx *ctx, struct hold_arena *arena);
/* The service thread, if there is one, hears the bell from now on. */
void arena_hear(struct xvmc_ctx *ctx, const struct hold_arena *arena);

#endif
