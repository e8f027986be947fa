/* SPDX-License-Identifier: MIT */
/*
 * Receiving, blocking and not, on an endpoint. PLAIN: libc's own call between
 * two gate operations. MANAGED: lib/conn under the direction's lock, a bounded
 * spin, then sleep on the bell. [S 5]
 */
#include <errno.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>

#include "stream.h"

static bool moved_away(struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;

	return c->rx.path == XVMC_PATH_RING && c->hv && !c->rx.gone && !c->rx.kept &&
	       xvmc_hv_incarnation(c->hv) != c->incarnation;
}

/*
 * A thread is inside the kernel since before the connection was managed, and has
 * bytes of the stream that are not counted yet: where a record is expected,
 * nobody else may read up to it. Who is inside wakes us when it leaves.
 */
static bool others_read(struct xvmc_endpoint *ep)
{
	return ep->conn.rx.path == XVMC_PATH_TCP &&
	       ep->conn.rx.expect != XVMC_POS_NONE && inside_others(ep);
}

/* Who reads is awake already; the service thread may have to wait for a CPU,
 * and the peer does not wait long. */
static void follow(struct xvmc_endpoint *ep)
{
	if (ep->conn.rx.path == XVMC_PATH_TCP && endpoint_ack(ep) == -EBADMSG)
		xvmc_service_kick(ep);
}

/* What is armed for: more than what a peek has seen. */
static bool arm_rx(struct conn_t *c, ssize_t seen)
{
	struct conn_rx *rx = &c->rx;

	if (!rx->attached || rx->gone)
		return false;
	if (rx->path == XVMC_PATH_RING) {
		ssize_t n = seen ? xvmc_conn_rx_in_ring(c) : 0;

		return xvmc_conn_rx_arm(c, n > 0 ? (size_t)n + 1 : 1);
	}
	if (!seen || rx->expect == XVMC_POS_NONE)
		return false; /* the service thread sees TCP's edges */
	/* What is behind the record comes by the ring alone. */
	xvmc_hv_chan_ack(c->hv, &rx->chan);
	ring_arm_data(rx->r.r, rx->expect + 1);
	return ring_see_prod(rx->r.s) > rx->expect;
}

/*
 * One pass under rx.lock. -EAGAIN with *ret_sleep set: wait_begin is done and
 * the bell armed. -ESTALE: not MANAGED any more. Under MSG_PEEK with
 * MSG_WAITALL, fewer bytes than asked for are as good as none while more may
 * come: how many there are is in *ret_seen.
 */
static ssize_t recv_managed_once(struct visit *v, struct xvmc_iov *it, int flags,
				 bool may_sleep, ssize_t *ret_seen, bool *ret_sleep)
{
	struct xvmc_endpoint *ep = v->ep;
	struct conn_t *c = &ep->conn;
	bool peek = (flags & MSG_PEEK) != 0;
	bool whole = peek && may_sleep && (flags & MSG_WAITALL);
	ssize_t r;

	*ret_sleep = false;
	*ret_seen = 0;
	if (xvmc_ep_lacks(ep) & HOLD_RX) {
		r = xvmc_sock_hold(ep, HOLD_RX);
		return r < 0 ? r : -ESTALE;
	}
	section_lock(&c->rx.lock);
	if (!xvmc_ep_managed(ep)) {
		section_unlock(&c->rx.lock);
		return -ESTALE;
	}
	endpoint_used(ep);
	follow(ep);
	r = others_read(ep) ? -EAGAIN : xvmc_conn_read(c, it, peek);
	if (r == -EAGAIN && may_sleep && stream_spin_rx(ep))
		r = xvmc_conn_read(c, it, peek);
	if (r > 0)
		follow(ep); /* it may have waited for these bytes to be read */
	if (whole && r > 0 && it->left && !endpoint_rx_ended(ep)) {
		*ret_seen = r;
		r = -EAGAIN;
	}
	if (may_sleep && (r == -EAGAIN || (it->left && (flags & MSG_WAITALL))))
		visit_begin(v);
	if (r == -EAGAIN && moved_away(ep))
		atomic_fetch_or(&c->events, XVMC_EV_GONE);
	if (r == -EAGAIN && may_sleep && xvmc_ep_wait_begin(ep, POLLIN)) {
		*ret_sleep = true;
		if (arm_rx(c, *ret_seen)) {
			*ret_sleep = false;
			xvmc_ep_wait_end(ep, POLLIN);
		}
	} else if (r > 0 && ep->rx_waiters) {
		endpoint_rx_taken(ep);
	} else if (r != -EAGAIN && ep->rx_waiters) {
		endpoint_poke_rx(ep);
	}
	section_unlock(&c->rx.lock);
	endpoint_events(ep);
	return r;
}

static ssize_t recv_or_sleep(struct visit *v, struct xvmc_iov *it, int flags, bool some)
{
	struct xvmc_endpoint *ep = v->ep;
	bool nonblock = (flags & MSG_DONTWAIT) != 0;
	uint64_t deadline = 0;
	ssize_t r, seen = 0;
	bool sleep;
	int w;

	for (;;) {
		struct xvmc_iov to = *it;

		r = recv_managed_once(v, &to, flags, !nonblock, &seen, &sleep);
		if (r != -EAGAIN || nonblock) {
			*it = to;
			return r;
		}
		if (!sleep)
			continue;
		if (!deadline && ep->rcv_timeo_ns)
			deadline = os_now_ns() + ep->rcv_timeo_ns;
		w = stream_sleep(v, POLLIN, deadline, !some && !seen);
		if (w < 0)
			return seen ? seen : w;
	}
}

/* No bytes, but an error, which is the next call's: the kernel tells it once. */
static bool error_next(int fd)
{
	static const struct timespec zero;
	struct pollfd pfd = { .fd = fd };
	int inq = 0;

	return os_ioctl(fd, SIOCINQ, &inq) == 0 && inq == 0 &&
	       os_ppoll(&pfd, 1, &zero, NULL) == 1 && (pfd.revents & POLLERR);
}

static ssize_t recv_waiting(struct visit *v, int fd, const struct iovec *vec, size_t cnt,
			    int flags, bool some)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)vec,
			      .msg_iovlen = cnt };
	struct xvmc_endpoint *ep = v->ep;
	struct own_fd own;
	struct unwind u;
	ssize_t r;

	if (!stream_own_fd(ep, fd, &own))
		return -1;
	unwind_push(&u, stream_own_close, &own);
	do {
		if (some && error_next(own.fd)) {
			errno = EAGAIN;
			r = -1;
			break;
		}
		r = ep->ctx->libc.recvmsg(own.fd, &msg, flags | MSG_DONTWAIT);
	} while (r < 0 && errno == EAGAIN && !v->reads.passed &&
	       stream_sleep_plain(ep, own.fd, POLLIN, ep->rcv_timeo_ns, &v->in, some) > 0);
	unwind_pop(&u, 1);
	return r;
}

void visit_torn(struct visit *v)
{
	struct xvmc_endpoint *ep = v->ep;

	section_lock(&ep->conn.rx.lock);
	if (xvmc_ep_managed(ep) && !v->settled)
		xvmc_conn_rx_torn(&ep->conn, v->into, v->into_cnt,
				  (ep->rx_gate & XVMC_GATE_COUNT) == 1);
	section_unlock(&ep->conn.rx.lock);
}

bool visit_settle(struct visit *v)
{
	int r;

	if (v->settled || !v->into)
		return true;
	r = xvmc_conn_rx_settle(&v->ep->conn, v->into, v->into_cnt, true, &v->kept);
	v->settled = r > 0;
	return r >= 0;
}

/*
 * What the kernel's recv has brought, r bytes or -errno, where anything but bytes
 * of a connection on plain TCP came. A switch may have begun meanwhile: then it may
 * end with a record, and lib/conn sorts it out; what was peeked at may have been
 * one. Returns what of it is the application's; -EAGAIN with *ret_again: nothing.
 * No handler runs in here.
 */
static __attribute__((noinline)) ssize_t count_odd(struct visit *v, ssize_t r, bool peek,
						   bool *ret_again)
{
	struct xvmc_endpoint *ep = v->ep;
	struct conn_t *c = &ep->conn;

	if (v->settled) {
		r = v->kept ? (ssize_t)v->kept : -EAGAIN;
		*ret_again = r < 0;
	} else if (r > 0 && peek) {
		*ret_again = xvmc_ep_managed(ep);
	} else if (r > 0) {
		section_lock(&c->rx.lock);
		r = xvmc_conn_rx_took(c, v->into, v->into_cnt, (size_t)r);
		*ret_again = r == -EAGAIN;
		section_unlock(&c->rx.lock);
	} else if (v->reads.passed && (r == 0 || r == -EAGAIN || r == -EINTR)) {
		/* It goes on where the handler has read; so does a time-out. */
		*ret_again = true;
	}
	v->settled = false;
	if (*ret_again)
		visit_begin(v); /* the kernel's hold on the socket has gone */
	return *ret_again ? -EAGAIN : r;
}

/* Counts it, and leaves the gate. */
static ssize_t recv_came(struct visit *v, ssize_t r, bool peek, bool *ret_again)
{
	struct xvmc_endpoint *ep = v->ep;
	uint64_t sum = 0;

	section_enter();
	if (r > 0 && !peek && !v->settled && !xvmc_ep_managed(ep)) {
		sum = atomic_fetch_add_explicit(&ep->conn.rx.rcvd, (uint64_t)r,
						memory_order_relaxed) + (uint64_t)r;
		xvmc_stat_add(ep->conn.stats, XVMC_S_TCP_RX_BYTES, (uint64_t)r);
	} else {
		r = count_odd(v, r, peek, ret_again);
	}
	v->into = NULL;
	visit_leave_gate(v);
	section_leave();
	v->in.slept = true;
	if (sum) /* it may start a thread */
		stream_moved(ep, sum);
	return r;
}

/* The kernel's own recvmsg, in the gate, counted. -EAGAIN with *ret_again: nothing of
 * it was the application's. */
static inline ssize_t recv_plain(struct visit *v, int fd, const struct iovec *vec,
				 size_t cnt, int flags, bool *ret_again)
{
	const struct xvmc_libc *libc = &v->ep->ctx->libc;
	bool peek = (flags & MSG_PEEK) != 0;
	int saved = errno;
	ssize_t r;

	v->into = peek ? NULL : vec;
	v->into_cnt = cnt;
	if (cnt == 1) {
		r = libc->recv(fd, vec->iov_base, vec->iov_len, flags);
	} else {
		struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)vec,
				      .msg_iovlen = cnt };

		r = libc->recvmsg(fd, &msg, flags);
	}
	if (r < 0) {
		r = -errno;
		errno = saved;
	}
	return recv_came(v, r, peek, ret_again);
}

/* The same for a call that has slept before, or (some) has bytes. */
static ssize_t recv_rest(struct visit *v, int fd, const struct iovec *vec, size_t cnt,
			 int flags, bool some, bool *ret_again)
{
	bool peek = (flags & MSG_PEEK) != 0;
	int saved = errno;
	ssize_t r;

	/* Only the kernel can wait for more to come than there is. */
	if (peek && (flags & MSG_WAITALL))
		return recv_plain(v, fd, vec, cnt, flags, ret_again);
	v->into = peek ? NULL : vec;
	v->into_cnt = cnt;
	r = recv_waiting(v, fd, vec, cnt, flags, some);
	if (r < 0)
		r = -errno;
	errno = saved; /* it may have slept before it got some */
	return recv_came(v, r, peek, ret_again);
}

/* A read of no bytes still waits until there are some, or for SO_RCVTIMEO;
 * the kernel looks at what it was asked for when it has slept, not at why it
 * woke up. */
static ssize_t recv_nothing(struct visit *v, int flags)
{
	char c;
	struct iovec vec = { .iov_base = &c, .iov_len = 1 };
	struct xvmc_iov it = xvmc_iov_make(&vec, 1);
	ssize_t r = recv_or_sleep(v, &it, flags | MSG_PEEK, false);

	return r > 0 || (r == -EAGAIN && !(flags & MSG_DONTWAIT)) ? 0 : r;
}

/* Under MSG_WAITALL a blocking call goes on until the buffer is full, however
 * often the stream changes its way meanwhile. kernels: the last step was the
 * kernel's own call, and what that found too little ended it for good. */
static bool goes_on(struct xvmc_endpoint *ep, size_t left, int flags, bool kernels)
{
	return (flags & (MSG_WAITALL | MSG_PEEK | MSG_DONTWAIT)) == MSG_WAITALL && left &&
	       (!kernels || xvmc_ep_managed(ep));
}

/* The call, from here on: sum bytes have come, or again: there is a way to be
 * tried anew. Returns them all, or what ended it. */
static ssize_t recv_on(struct visit *v, int fd, const struct iovec *vec, size_t cnt,
		       int flags, int how, ssize_t sum, bool again)
{
	struct xvmc_endpoint *ep = v->ep;
	struct xvmc_iov it = xvmc_iov_make(vec, cnt);
	struct iovec rest[64];
	bool kernels = false;
	ssize_t r = sum;

	xvmc_iov_advance(&it, (size_t)sum);
	do {
		if (again && stream_interrupted(&v->in, how, !sum && !ep->rcv_timeo_ns)) {
			r = -EINTR;
			break;
		}
		again = false;
		if (visit_enter_gate(v, POLLIN)) {
			bool own = stream_goes_on(&v->in, sum > 0, how);

			kernels = !own;
			if (sum) { /* it became PLAIN in the middle */
				cnt = xvmc_iov_slice(&it, it.left, rest, 64);
				vec = rest;
			}
			r = own ? recv_rest(v, fd, vec, cnt, flags, sum > 0, &again) :
				  recv_plain(v, fd, vec, cnt, flags, &again);
			if (r > 0)
				xvmc_iov_advance(&it, (size_t)r);
			/* As recv_nothing: SO_RCVTIMEO. */
			if (r == -EAGAIN && !again && !it.left && own)
				r = 0;
		} else {
			kernels = false;
			if (it.left)
				r = recv_or_sleep(v, &it, how, sum > 0);
			else
				r = sum ? 0 : recv_nothing(v, how);
			again = r == -ESTALE;
		}
		if (r > 0)
			sum += r;
	} while (again || (r > 0 && goes_on(ep, it.left, how, kernels)));
	if (sum && r < 0)
		xvmc_sock_untell(ep, (int)r);
	return sum ? sum : r;
}

ssize_t xvmc_sock_recv(struct xvmc_endpoint *ep, int fd, const struct iovec *vec,
		       size_t cnt, int flags)
{
	int how = stream_decide(ep, fd, flags);
	bool on = true, again = false;
	struct visit v;
	struct unwind u;
	ssize_t r = 0;

	visit_init(&v, ep, &ep->inside_rx);
	unwind_push(&u, visit_abandon, &v);
	/* As a rule one call of the kernel's is all, or one look into the ring. */
	if (visit_enter_gate(&v, POLLIN)) {
		r = recv_plain(&v, fd, vec, cnt, flags, &again);
		on = again ||
		     (r > 0 && goes_on(ep, xvmc_iov_bytes(vec, cnt) - (size_t)r, how, true));
	}
	if (on)
		r = recv_on(&v, fd, vec, cnt, flags, how, again ? 0 : r, again);
	unwind_pop(&u, 0);
	visit_end(&v);
	if (ep->bell_holds && r != 0 && !(flags & MSG_PEEK) &&
	    (r < 0 || (size_t)r < xvmc_iov_bytes(vec, cnt)))
		atomic_fetch_add_explicit(&ep->dries, 1, memory_order_release);
	return r;
}
