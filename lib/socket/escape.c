/* SPDX-License-Identifier: MIT */
/*
 * The ways a socket leaves our sight. What cannot be followed is answered by
 * the switch: the stream goes back into the kernel's socket before the
 * descriptor escapes. Mostly for good. Not so while stdio may use it, and
 * around an exec that may fail: it is pinned to TCP then with XVMC_R_FORK, which
 * nobody holds against it, and returns when that is over.
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include "internal.h"

#define NS_PER_MS 1000000u

static void futex_wait(_Atomic uint32_t *word, uint32_t val, uint64_t ns)
{
	struct timespec ts = { .tv_sec = (time_t)(ns / 1000000000u),
			       .tv_nsec = (long)(ns % 1000000000u) };

	OS4(SYS_futex, word, FUTEX_WAIT_PRIVATE, val, &ts);
}

uint64_t escape_ns(const struct xvmc_endpoint *ep)
{
	return (uint64_t)ep->ctx->opt.escape_ms * NS_PER_MS;
}

void escape_wait(struct xvmc_endpoint *ep, uint32_t state, uint64_t ns)
{
	/* A short wait: a kick may have met a busy queue. */
	futex_wait(&ep->state, state, ns < 20 * NS_PER_MS ? ns : 20 * NS_PER_MS);
}

uint32_t escape_begin(struct xvmc_endpoint *ep, enum xvmc_reason why)
{
	uint32_t state = XVMC_EP_TRACKED, none = 0;

	/* Else those who hold it are known, and will ask, or do not have to. */
	if (why != XVMC_R_FORK && why != XVMC_R_CONFINED)
		fork_spoil(ep);
	if (atomic_compare_exchange_strong(&ep->state, &state, XVMC_EP_PINNED)) {
		ep->reason = why;
		return XVMC_EP_PINNED;
	}
	if (state != XVMC_EP_PINNED) {
		atomic_compare_exchange_strong(&ep->pin_wanted, &none, why);
		xvmc_service_kick(ep);
	}
	return state;
}

/*
 * Nothing goes or comes by a ring any more, nor will; or the connection has
 * failed, and the rest is the kernel's to say. To be asked after escape_begin:
 * once the service thread has taken pin_wanted it enters no ring.
 */
static bool is_on_tcp(struct xvmc_endpoint *ep, bool here)
{
	struct conn_t *c = &ep->conn;
	bool yes;

	if (ep->pin_wanted || (!here && !c->rx.err && !xvmc_conn_failed(c)))
		return false;

	section_lock(&c->tx.lock);
	section_lock(&c->rx.lock);
	yes = xvmc_ep_managed(ep) &&
	      ((xvmc_conn_failed(c) && xvmc_conn_rx_ready(c) <= 0) ||
	       (xvmc_conn_tx_idle(c) && xvmc_conn_rx_idle(c) && !c->rx.skip &&
		!c->rx.pull));
	section_unlock(&c->rx.lock);
	section_unlock(&c->tx.lock);
	return yes;
}

static int escape(struct xvmc_endpoint *ep, enum xvmc_reason why, bool here)
{
	uint64_t now = os_now_ns();
	uint64_t end = now + escape_ns(ep);
	uint32_t state;
	int r;

	r = xvmc_sock_use(ep, HOLD_BOTH);
	if (r < 0)
		return r;
	if (here)
		ep->bring = true;
	while ((state = escape_begin(ep, why)) != XVMC_EP_PINNED) {
		now = os_now_ns();
		if (now >= end) {
			/* The peer does not answer, and what it wrote into the
			 * ring cannot be put back: never a wrong byte. */
			os_shutdown(ep->fd, SHUT_RDWR);
			xvmc_stat_add(ep->ctx->stats, XVMC_S_RESETS, 1);
			return -ETIMEDOUT;
		}
		escape_wait(ep, state, end - now);
		if (is_on_tcp(ep, here))
			return 0;
	}
	return 0;
}

bool xvmc_sock_early(struct xvmc_endpoint *ep)
{
	bool yes;

	section_lock(&ep->conn.rx.lock);
	yes = xvmc_conn_rx_early(&ep->conn);
	section_unlock(&ep->conn.rx.lock);
	return yes;
}

int xvmc_sock_escape(struct xvmc_endpoint *ep, enum xvmc_reason why)
{
	return escape(ep, why, false);
}

int xvmc_sock_escape_here(struct xvmc_endpoint *ep, enum xvmc_reason why)
{
	return escape(ep, why, true);
}

int xvmc_sock_untold(struct xvmc_endpoint *ep, int fd, bool reads)
{
	int left = 0;

	if (reads && os_ioctl(fd, SIOCINQ, &left) == 0 && left > 0)
		return 0;
	return xvmc_conn_tell(&ep->conn, 0);
}

/* ---- and back ---- */

bool endpoint_return(struct xvmc_endpoint *ep)
{
	uint32_t pinned = XVMC_EP_PINNED;
	bool yes;

	section_lock(&ep->ctx->lock); /* who pins for a while counts itself there */
	yes = ep->reason == XVMC_R_FORK && !ep->spoilt && !ep->stdio &&
	      !ep->ctx->execs && !ep->ctx->ended && ep->ctx->opt.enable &&
	      atomic_compare_exchange_strong(&ep->state, &pinned, XVMC_EP_TRACKED);
	section_unlock(&ep->ctx->lock);
	return yes;
}

/* Where there is a service thread it may have a part in it. */
static void unpin(struct xvmc_endpoint *ep)
{
	if (!atomic_load(&ep->ctx->service)) {
		endpoint_return(ep);
		return;
	}
	atomic_store(&ep->return_wanted, true);
	xvmc_service_kick(ep);
}

int xvmc_sock_stdio(struct xvmc_endpoint *ep, int number)
{
	section_lock(&ep->ctx->lock);
	atomic_fetch_or(&ep->stdio, 1u << number);
	section_unlock(&ep->ctx->lock);
	return xvmc_sock_escape(ep, XVMC_R_FORK);
}

/* One that stdio had at this number and has no more. */
static void off_stdio(struct xvmc_endpoint *ep, void *arg)
{
	int number = *(int *)arg;
	uint32_t bit = 1u << number, old = 0;

	section_lock(&ep->ctx->lock);
	if (xvmc_fd_peek(ep->ctx, number) != &ep->obj)
		old = atomic_fetch_and(&ep->stdio, ~bit);
	section_unlock(&ep->ctx->lock);
	if (old & bit)
		unpin(ep);
}

void xvmc_sock_left_stdio(struct xvmc_ctx *ctx, int number)
{
	endpoint_each(ctx, off_stdio, &number);
}

/* ---- other programs ---- */

/* Does this number survive an exec? any: or is it this process's own? A
 * reference is taken, or NULL. */
static struct xvmc_endpoint *concerned(struct xvmc_ctx *ctx, int fd, bool any)
{
	struct xvmc_endpoint *ep = xvmc_fd_peek(ctx, fd) ? xvmc_ep_get(ctx, fd) : NULL;
	int flags = ep ? os_fcntl(fd, F_GETFD, 0) : -1;

	if (flags >= 0 && ((any && !xvmc_ep_lacks(ep)) || !(flags & FD_CLOEXEC)))
		return ep;
	if (ep)
		xvmc_ep_put(ep);
	return NULL;
}

/* Returns how many numbers cross. */
static unsigned int escape_all(struct xvmc_ctx *ctx, enum xvmc_reason why, bool any)
{
	unsigned int n = 0;

	/* All at once, and then wait for each: two of them may be the ends of
	 * one connection. */
	for (int pass = 0; pass < 2; pass++) {
		for (int fd = 0; fd < 65536; fd++) {
			struct xvmc_endpoint *ep = concerned(ctx, fd, any);

			if (!ep)
				continue;
			if (pass == 0 && !xvmc_ep_lacks(ep))
				escape_begin(ep, why);
			else if (pass == 1)
				xvmc_sock_escape(ep, why);
			n += pass == 1 && os_fcntl(fd, F_GETFD, 0) == 0;
			xvmc_ep_put(ep);
		}
	}
	return n;
}

void xvmc_sock_spawn(struct xvmc_ctx *ctx)
{
	escape_all(ctx, XVMC_R_EXEC, false);
}

static void count_execs(struct xvmc_ctx *ctx, uint32_t n)
{
	section_lock(&ctx->lock);
	ctx->execs += n;
	section_unlock(&ctx->lock);
}

bool xvmc_sock_exec(struct xvmc_ctx *ctx)
{
	count_execs(ctx, 1);
	return escape_all(ctx, XVMC_R_FORK, true) > 0;
}

void xvmc_sock_exec_failed(struct xvmc_ctx *ctx)
{
	count_execs(ctx, (uint32_t)-1);
	for (int fd = 0; fd < 65536; fd++) {
		struct xvmc_endpoint *ep =
			xvmc_fd_peek(ctx, fd) ? xvmc_ep_get(ctx, fd) : NULL;

		if (!ep)
			continue;
		unpin(ep);
		xvmc_ep_put(ep);
	}
}
