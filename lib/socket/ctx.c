/* SPDX-License-Identifier: MIT */
/*
 * The context: everything a process under the library has, made without a
 * thread, a descriptor or a socket.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "base/rundir.h"
#include "internal.h"

/* At exit, bytes that wait for room in a TCP socket get so long. */
#define EXIT_FLUSH_NS 2000000000u
/* And a record that a peer wrote before it could know, so long to come. */
#define EXIT_GRACE_NS 2000000

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

/* The connections this process has on rings at its end; the list is only read,
 * since other threads may still run. */
static bool at_end(const struct xvmc_endpoint *ep)
{
	return !ep->inherited && ep->io_fd >= 0 &&
	       (ep->rx_gate & XVMC_GATE_MANAGED);
}

/* What a ring holds the peer could read after we are gone; but a record says
 * so for certain. A lock that another thread holds stays so. */
static void last_words(struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;

	if (pthread_mutex_trylock(&c->tx.lock) != 0)
		return;
	if (xvmc_ep_managed(ep)) {
		if (pthread_mutex_trylock(&c->rx.lock) == 0) {
			if (ep->nfds && endpoint_left_unread(ep))
				endpoint_reset_on_close(ep);
			xvmc_conn_rx_stop(c);
			pthread_mutex_unlock(&c->rx.lock);
		}
		xvmc_conn_tx_leave(c, XVMC_R_CLOSE, false);
	}
	pthread_mutex_unlock(&c->tx.lock);
}

static void flush_until(struct xvmc_endpoint *ep, uint64_t end)
{
	static const struct timespec slice = { .tv_nsec = 10000000 };
	struct conn_t *c = &ep->conn;

	while (xvmc_conn_tx_pending(c) && os_now_ns() < end) {
		struct pollfd pfd = { .fd = ep->io_fd, .events = POLLOUT };

		if (pthread_mutex_trylock(&c->tx.lock) == 0) {
			xvmc_conn_tx_flush(c);
			pthread_mutex_unlock(&c->tx.lock);
		}
		if (xvmc_conn_tx_pending(c))
			os_ppoll(&pfd, 1, &slice, NULL);
	}
}

/* A record of the peer's that is under way to a socket with bytes under way
 * to the peer: it would meet a closed one, and reset them. */
static bool record_may_come(const struct xvmc_endpoint *ep)
{
	const struct conn_rx *rx = &ep->conn.rx;
	int outq = 0;

	return (rx->path == XVMC_PATH_RING || rx->expect != XVMC_POS_NONE) &&
	       !rx->err && !rx->eof &&
	       os_ioctl(ep->io_fd, SIOCOUTQ, &outq) == 0 && outq > 0;
}

static void take_records(struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;

	if (pthread_mutex_trylock(&c->rx.lock) != 0)
		return;
	if (xvmc_ep_managed(ep))
		xvmc_conn_rx_pump(c);
	pthread_mutex_unlock(&c->rx.lock);
}

void xvmc_ctx_exit(struct xvmc_ctx *ctx)
{
	static const struct timespec grace = { .tv_nsec = EXIT_GRACE_NS };
	uint64_t end = os_now_ns() + EXIT_FLUSH_NS;
	struct xvmc_list *it, *tmp;
	struct xvmc_endpoint *ep;
	bool wait = false;

	if (ctx->ended || ctx->pid != os_getpid())
		return;
	/* A child holds the socket, too: for it the stream goes on. */
	xvmc_list_each(it, tmp, &ctx->eps) {
		ep = xvmc_list_entry(it, struct xvmc_endpoint, all_link);
		if (at_end(ep) && ep->forked && ep->nfds)
			xvmc_sock_escape(ep, XVMC_R_FORK);
	}
	ctx->ended = true;
	xvmc_list_each(it, tmp, &ctx->eps) {
		ep = xvmc_list_entry(it, struct xvmc_endpoint, all_link);
		if (!at_end(ep))
			continue;
		last_words(ep);
		flush_until(ep, end);
		wait = wait || record_may_come(ep);
	}
	if (!wait)
		return;
	OS4(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &grace, NULL);
	xvmc_list_each(it, tmp, &ctx->eps) {
		ep = xvmc_list_entry(it, struct xvmc_endpoint, all_link);
		if (at_end(ep))
			take_records(ep);
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
