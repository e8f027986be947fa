/* SPDX-License-Identifier: MIT */
/* fdtab.h, behind the fast paths: the table itself, and an object's end. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The largest descriptor number that is followed; pages are touched only
 * where there is something to note. */
#define FDS_MAX (1u << 20)

static void *table(size_t size)
{
	void *p = mmap(NULL, FDS_MAX * size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int fdtab_init(struct xvmc_ctx *ctx)
{
	ctx->fds = table(sizeof(ctx->fds[0]));
	ctx->made = table(sizeof(ctx->made[0]));
	if (!ctx->fds || !ctx->made) {
		fdtab_deinit(ctx);
		return -ENOMEM;
	}
	ctx->nfds = FDS_MAX;
	return 0;
}

void fdtab_deinit(struct xvmc_ctx *ctx)
{
	if (ctx->fds)
		munmap(ctx->fds, FDS_MAX * sizeof(ctx->fds[0]));
	if (ctx->made)
		munmap(ctx->made, FDS_MAX * sizeof(ctx->made[0]));
	ctx->fds = NULL;
	ctx->made = NULL;
	ctx->nfds = 0;
}

void xvmc_obj_close_late(struct xvmc_obj *obj)
{
	endpoint_close_late((struct xvmc_endpoint *)(void *)obj);
}

void xvmc_obj_end(struct xvmc_ctx *ctx, struct xvmc_obj *obj)
{
	/* Only the one who takes it out of life may free it: a reader that
	 * lost a race comes by here with an object that is free already. */
	if (!atomic_exchange(&obj->live, false))
		return;
	if (obj->kind == XVMC_OBJ_ENDPOINT)
		endpoint_free(ctx, (struct xvmc_endpoint *)obj);
	else
		xvmc_epset_free(ctx, obj);
}

/* Puts obj (taking over a reference) or NULL behind fd. */
void fdtab_set(struct xvmc_ctx *ctx, int fd, struct xvmc_obj *obj)
{
	struct xvmc_obj *old;

	if ((unsigned int)fd >= ctx->nfds) {
		if (obj)
			xvmc_obj_put(ctx, obj);
		return;
	}
	old = atomic_exchange(&ctx->fds[fd], obj);
	if (old)
		xvmc_obj_put(ctx, old);
}

bool xvmc_fd_internal(struct xvmc_ctx *ctx, int fd)
{
	(void)ctx;
	return xvmc_os_fd_internal(fd) != 0;
}
