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
/* And one that it was asked for so long at most. */
#define EXIT_ASKED_NS 100000000u

static const char default_domain[] = "local";

int xvmc_ctx_init(struct xvmc_ctx *ctx, const struct xvmc_libc *libc)
{
	void *stats;
	int r;

	memset(ctx, 0, sizeof(*ctx));
	ctx->libc = *libc;
	ctx->stats_memfd = -1;
	xvmc_options_load(&ctx->opt);
	xvmc_rules_parse(ctx->opt.rules, &ctx->rules, NULL);
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
	/* With one processor the peer would wait for ours; unless it is in another
	 * guest of Xen's (service.c), or the user knows better. */
	if (xvmc_os_ncpu() < 2 && !xvmc_options_set("XVMC_SPIN_US"))
		ctx->spins = XVMC_SPINS_NOT;
	stats = mmap(NULL, XVMC_PAGE_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (stats == MAP_FAILED)
		return -ENOMEM;
	ctx->stats = stats;
	/* xvmc-run --stats wants all of it: the one descriptor made early. */
	if (ctx->opt.stats[0] && ctx->opt.enable)
		stats_share(ctx);
	r = fdtab_init(ctx);
	if (r < 0)
		munmap(stats, XVMC_PAGE_SIZE);
	return r;
}

#define BATCH 64

static bool hold(struct xvmc_endpoint *ep)
{
	uint32_t users = ep->obj.users;

	while (users)
		if (atomic_compare_exchange_weak(&ep->obj.users, &users, users + 1))
			return true;
	return false; /* it is being freed */
}

/* Nobody holds a lock for long but a call that exit() has interrupted: then false. */
static bool lock_in_time(pthread_mutex_t *lock)
{
	static const struct timespec ms = { .tv_nsec = 1000000 };

	for (int i = 0; section_trylock(lock) != 0; i++) {
		if (i == 100)
			return false;
		OS4(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ms, NULL);
	}
	return true;
}

void endpoint_each(struct xvmc_ctx *ctx,
		   void (*fn)(struct xvmc_endpoint *ep, void *arg), void *arg)
{
	struct xvmc_endpoint *batch[BATCH];
	struct xvmc_list *it, *tmp;
	uint32_t last = 0;
	size_t n;

	do {
		n = 0;
		if (!lock_in_time(&ctx->lock))
			return;
		xvmc_list_each(it, tmp, &ctx->eps) {
			struct xvmc_endpoint *ep =
				xvmc_list_entry(it, struct xvmc_endpoint, all_link);

			/* They lie in the order of their numbers. */
			if (ep->epid > last && n < BATCH && hold(ep))
				batch[n++] = ep;
		}
		section_unlock(&ctx->lock);
		for (size_t i = 0; i < n; i++) {
			last = batch[i]->epid;
			fn(batch[i], arg);
			xvmc_ep_put(batch[i]);
		}
	} while (n == BATCH);
}

static bool at_end(const struct xvmc_endpoint *ep)
{
	return ep->io_fd >= 0 && (ep->rx_gate & XVMC_GATE_MANAGED);
}

/* Another process has the socket open, too: for it the stream goes on. */
static void leave_to_child(struct xvmc_endpoint *ep, void *arg)
{
	(void)arg;
	/* Who does not read has nothing of it but what is in the kernel. */
	if (!(xvmc_ep_lacks(ep) & HOLD_RX) && ep->nfds && fork_shared(ep))
		xvmc_sock_escape(ep, XVMC_R_FORK);
}

/* What a ring holds the peer could read after we are gone; but a record says
 * so for certain. */
static void last_words(struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;

	if (!lock_in_time(&c->tx.lock))
		return;
	if (xvmc_ep_managed(ep)) {
		if (lock_in_time(&c->rx.lock)) {
			if (ep->nfds && endpoint_left_unread(ep))
				endpoint_reset_on_close(ep);
			xvmc_conn_rx_stop(c);
			section_unlock(&c->rx.lock);
		}
		xvmc_conn_tx_leave(c, XVMC_R_CLOSE, false);
	}
	section_unlock(&c->tx.lock);
}

static void flush_until(struct xvmc_endpoint *ep, uint64_t end)
{
	static const struct timespec slice = { .tv_nsec = 10000000 };
	struct conn_t *c = &ep->conn;

	while (xvmc_conn_tx_pending(c) && os_now_ns() < end) {
		struct pollfd pfd = { .fd = ep->io_fd, .events = POLLOUT };

		if (section_trylock(&c->tx.lock) == 0) {
			xvmc_conn_tx_flush(c);
			section_unlock(&c->tx.lock);
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

struct exit_pass {
	uint64_t end;
	bool wait;
};

/* rx.lock held. The peer was asked to leave its ring, and has not yet: the record
 * it writes would meet a closed socket. If it sees that we have gone, there is none. */
static bool record_is_due(const struct conn_t *c)
{
	const struct conn_rx *rx = &c->rx;

	return c->tx.asked && rx->path == XVMC_PATH_RING && !rx->err && !rx->eof &&
	       !xvmc_conn_rx_left(c);
}

static void await_record(struct xvmc_endpoint *ep, void *arg)
{
	static const struct timespec ms = { .tv_nsec = 1000000 };
	const struct exit_pass *pass = arg;
	struct conn_t *c = &ep->conn;
	bool due;

	if (!at_end(ep))
		return;
	do {
		if (!lock_in_time(&c->rx.lock))
			return;
		due = xvmc_ep_managed(ep) && record_is_due(c);
		if (due)
			xvmc_conn_rx_pump(c);
		due = due && record_is_due(c);
		section_unlock(&c->rx.lock);
		if (due)
			OS4(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ms, NULL);
	} while (due && os_now_ns() < pass->end);
}

static void take_records(struct xvmc_endpoint *ep, void *arg)
{
	struct conn_t *c = &ep->conn;

	(void)arg;
	if (!at_end(ep) || !lock_in_time(&c->rx.lock))
		return;
	if (xvmc_ep_managed(ep)) {
		xvmc_conn_rx_pump(c);
		/* Bytes to the program, which the kernel does not see any more. */
		if (xvmc_conn_rx_early(c))
			endpoint_reset_on_close(ep);
	}
	section_unlock(&c->rx.lock);
}

static void end_one(struct xvmc_endpoint *ep, void *arg)
{
	struct exit_pass *pass = arg;

	if (!at_end(ep))
		return;
	last_words(ep);
	flush_until(ep, pass->end);
	pass->wait = pass->wait || record_may_come(ep);
}

static void let_go(struct xvmc_endpoint *ep, void *arg)
{
	(void)arg;
	if (ep->nfds)
		fork_let_go(ep);
}

void xvmc_ctx_exit(struct xvmc_ctx *ctx)
{
	static const struct timespec grace = { .tv_nsec = EXIT_GRACE_NS };
	struct exit_pass pass = { .end = os_now_ns() + EXIT_FLUSH_NS };

	if (ctx->ended || ctx->pid != os_getpid())
		return;
	endpoint_each(ctx, leave_to_child, NULL);
	ctx->ended = true;
	endpoint_each(ctx, end_one, &pass);
	endpoint_each(ctx, let_go, NULL);
	pass.end = os_now_ns() + EXIT_ASKED_NS;
	endpoint_each(ctx, await_record, &pass);
	if (pass.wait)
		OS4(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &grace, NULL);
	endpoint_each(ctx, take_records, NULL);
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
