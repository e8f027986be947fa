/* SPDX-License-Identifier: MIT */
/*
 * The context: everything a process under the library has, made without a
 * thread, a descriptor or a socket.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/rundir.h"
#include "internal.h"

/* At exit, bytes that wait for room in a TCP socket get so long. */
#define EXIT_FLUSH_NS 2000000000u

static const char default_domain[] = "local";

int xvmc_ctx_init(struct xvmc_ctx *ctx, const struct xvmc_libc *libc)
{
	void *stats;
	int r;

	memset(ctx, 0, sizeof(*ctx));
	ctx->libc = *libc;
	ctx->stats_memfd = -1;
	xvmc_options_load(&ctx->opt);
	if (!ctx->opt.domain[0])
		memcpy(ctx->opt.domain, default_domain, sizeof(default_domain));
	/* An unsafe directory is no directory. */
	if (xvmc_rundir(ctx->opt.dir) < 0 || xvmc_rundir_check(ctx->opt.dir) == -EPERM)
		ctx->opt.enable = 0;
	xvmc_list_init(&ctx->eps);
	pthread_mutex_init(&ctx->lock, NULL);
	pthread_mutex_init(&ctx->epoll_lock, NULL);
	pthread_mutex_init(&ctx->service_lock, NULL);
	ctx->pid = os_getpid();
	ctx->ncpu = xvmc_os_ncpu();
	stats = mmap(NULL, XVMC_PAGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stats == MAP_FAILED)
		return -ENOMEM;
	ctx->stats = stats;
	r = fdtab_init(ctx);
	if (r < 0)
		munmap(stats, XVMC_PAGE_SIZE);
	return r;
}

void xvmc_ctx_exit(struct xvmc_ctx *ctx)
{
	uint64_t end = os_now_ns() + EXIT_FLUSH_NS;
	struct xvmc_list *it, *tmp;

	if (ctx->ended || ctx->pid != os_getpid())
		return;
	ctx->ended = true;
	/* What a ring holds the peer could read after we are gone; but a record
	 * says so for certain. Other threads may still run: the list is only
	 * read, and a lock that is held stays so. */
	xvmc_list_each(it, tmp, &ctx->eps) {
		struct xvmc_endpoint *ep =
			xvmc_list_entry(it, struct xvmc_endpoint, all_link);
		struct conn_t *c = &ep->conn;

		if (!ep->inherited && !ep->forked && ep->nfds &&
		    pthread_mutex_trylock(&c->tx.lock) == 0) {
			if (ep->io_fd >= 0 && xvmc_ep_managed(ep))
				xvmc_conn_tx_leave(c, XVMC_R_CLOSE, false);
			pthread_mutex_unlock(&c->tx.lock);
		}
		while (ep->io_fd >= 0 && !ep->inherited && xvmc_conn_tx_pending(c) &&
		       os_now_ns() < end) {
			static const struct timespec slice = { .tv_nsec = 10000000 };
			struct pollfd pfd = { .fd = ep->io_fd, .events = POLLOUT };

			if (pthread_mutex_trylock(&c->tx.lock) == 0) {
				xvmc_conn_tx_flush(c);
				pthread_mutex_unlock(&c->tx.lock);
			}
			if (xvmc_conn_tx_pending(c))
				os_ppoll(&pfd, 1, &slice, NULL);
		}
	}
}

void xvmc_ctx_deinit(struct xvmc_ctx *ctx)
{
	ctx->ended = true;
	service_stop(ctx);
	xvmc_epoll_deinit(ctx);
	while (ctx->free_eps) {
		struct xvmc_obj *obj = ctx->free_eps;

		ctx->free_eps = obj->free_next;
		free(obj);
	}
	if (ctx->stats_memfd >= 0)
		os_close(ctx->stats_memfd);
	fdtab_deinit(ctx);
	vms_close(ctx->vms);
	munmap(ctx->stats, XVMC_PAGE_SIZE);
	memset(ctx, 0, sizeof(*ctx));
}
