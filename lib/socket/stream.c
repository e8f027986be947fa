/* SPDX-License-Identifier: MIT */
/*
 * The stream calls: receive and send, blocking and not, on an endpoint.
 * PLAIN: libc's own call between two gate operations. MANAGED: lib/conn under
 * the direction's lock, a bounded spin, then sleep on the bell. [S 5]
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "stream.h"

void stream_moved(struct xvmc_endpoint *ep, uint64_t bytes)
{
	const struct xvmc_options *opt = &ep->ctx->opt;
	uint32_t ops = atomic_load_explicit(&ep->ops, memory_order_relaxed) + 1;
	uint32_t want = XVMC_EP_TRACKED;

	/* Lost counts are no harm. */
	atomic_store_explicit(&ep->ops, ops, memory_order_relaxed);
	if (ops < opt->min_ops && bytes < opt->min_bytes)
		return;
	if (atomic_load_explicit(&ep->state, memory_order_relaxed) != XVMC_EP_TRACKED)
		return;
	if (atomic_compare_exchange_strong(&ep->state, &want, XVMC_EP_QUEUED))
		xvmc_service_kick(ep);
}

/* ---- receiving ---- */

static bool moved_away(struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;

	return c->rx.path == XVMC_PATH_RING && c->hv && !c->rx.gone &&
	       xvmc_hv_incarnation(c->hv) != c->incarnation;
}

/* One pass under rx.lock. -EAGAIN with *ret_sleep set: wait_begin is done and
 * the bell armed. -ESTALE: not MANAGED any more. */
static ssize_t recv_managed_once(struct xvmc_endpoint *ep, struct xvmc_iov *it,
				 int flags, bool may_sleep, bool *ret_sleep)
{
	struct conn_t *c = &ep->conn;
	bool peek = (flags & MSG_PEEK) != 0;
	ssize_t r;

	*ret_sleep = false;
	if (ep->inherited) {
		r = xvmc_sock_inherited_use(ep);
		return r < 0 ? r : -ESTALE;
	}
	section_lock(&c->rx.lock);
	if (!xvmc_ep_managed(ep)) {
		section_unlock(&c->rx.lock);
		return -ESTALE;
	}
	ep->fork_idle = false;
	/* Who reads is awake already; the service thread may have to wait for
	 * a CPU, and the peer does not wait long. */
	if (c->rx.path == XVMC_PATH_TCP && endpoint_ack(ep) == -EBADMSG)
		xvmc_service_kick(ep);
	r = xvmc_conn_read(c, it, peek);
	if (r == -EAGAIN && may_sleep && stream_spin_rx(ep))
		r = xvmc_conn_read(c, it, peek);
	if (r == -EAGAIN && moved_away(ep))
		atomic_fetch_or(&c->events, XVMC_EV_GONE);
	if (r == -EAGAIN && may_sleep && xvmc_ep_wait_begin(ep, POLLIN)) {
		*ret_sleep = true;
		if (c->rx.path == XVMC_PATH_RING && c->rx.attached &&
		    !c->rx.gone && xvmc_conn_rx_arm(c, 1)) {
			*ret_sleep = false;
			xvmc_ep_wait_end(ep, POLLIN);
		}
	} else if (r != -EAGAIN && ep->rx_waiters) {
		/* Another sleeper may have armed for what we just took, or
		 * we may have taken the ring for what is left, or the end. */
		if (r <= 0 || xvmc_conn_rx_ready(c) != 0 ||
		    (c->rx.path == XVMC_PATH_RING && c->rx.attached &&
		     xvmc_conn_rx_arm(c, 1)))
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
	bool sleep;
	ssize_t r;
	int w;

	for (;;) {
		r = recv_managed_once(ep, it, flags, !nonblock, &sleep);
		if (r != -EAGAIN || nonblock)
			return r;
		if (!sleep)
			continue;
		visit_begin(v);
		if (!deadline && ep->rcv_timeo_ns)
			deadline = os_now_ns() + ep->rcv_timeo_ns;
		w = stream_sleep(v, POLLIN, deadline, !some);
		if (w < 0)
			return w;
	}
}

static ssize_t recv_managed(struct xvmc_endpoint *ep, struct xvmc_iov *it, int flags,
			    bool some, struct interrupt *in)
{
	struct visit v = { .ep = ep, .in = *in };
	struct unwind u;
	ssize_t r;

	unwind_push(&u, visit_end, &v);
	r = recv_or_sleep(&v, it, flags, some);
	unwind_pop(&u, 1);
	in->slept |= v.in.slept;
	return r;
}

struct gate_guard {
	_Atomic uint32_t *gate;
};

static void gate_leave(void *arg)
{
	xvmc_ep_gate_exit(((struct gate_guard *)arg)->gate);
}

/*
 * A call that has slept before, or moved some bytes by another way, sleeps here
 * for the rest: the kernel's own would go by what it has done itself when a
 * handler ends it, and by O_NONBLOCK as it is now. in: NULL for a call's first
 * time, which is the kernel's own. 1: look again; 0 or less: errno says why not.
 */
static int plain_sleep(struct xvmc_endpoint *ep, int fd, short event, uint64_t timeo_ns,
		       const struct interrupt *in, bool some)
{
	struct pollfd pfd = { .fd = fd, .events = event };
	struct timespec ts = { (time_t)(timeo_ns / 1000000000u),
			       (long)(timeo_ns % 1000000000u) };
	int r = ep->ctx->libc.ppoll(&pfd, 1, timeo_ns ? &ts : NULL, NULL);

	if (r == 0)
		errno = EAGAIN;
	if (r < 0 && errno == EINTR && !some && !timeo_ns && interrupt_restarts(in))
		return 1;
	return r;
}

static ssize_t recv_rest(struct xvmc_endpoint *ep, int fd, struct msghdr *msg, int flags,
			 const struct interrupt *in, bool some)
{
	ssize_t r;

	do
		r = ep->ctx->libc.recvmsg(fd, msg, flags | MSG_DONTWAIT);
	while (r < 0 && errno == EAGAIN &&
	       plain_sleep(ep, fd, POLLIN, ep->rcv_timeo_ns, in, some) > 0);
	return r;
}

static ssize_t send_rest(struct xvmc_endpoint *ep, int fd, struct msghdr *msg, int flags,
			 const struct interrupt *in, bool some)
{
	ssize_t r;

	do
		r = ep->ctx->libc.sendmsg(fd, msg, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
	while (r < 0 && errno == EAGAIN &&
	       plain_sleep(ep, fd, POLLOUT, ep->snd_timeo_ns, in, some) > 0);
	return r;
}

/*
 * The kernel's own recvmsg, counted. A switch may begin while we are in
 * there: then what came back may end with a record, and lib/conn sorts it out.
 * -EAGAIN with *ret_again: nothing of it was the application's.
 */
static ssize_t recv_plain(struct xvmc_endpoint *ep, int fd, struct msghdr *msg,
			  int flags, const struct interrupt *in, bool some,
			  bool *ret_again)
{
	struct conn_t *c = &ep->conn;
	struct gate_guard guard = { &ep->rx_gate };
	struct unwind u;
	int saved = errno;
	ssize_t r;

	*ret_again = false;
	unwind_push(&u, gate_leave, &guard);
	if (in)
		r = recv_rest(ep, fd, msg, flags, in, some);
	else if (msg->msg_iovlen == 1 && !msg->msg_control && !msg->msg_name)
		r = ep->ctx->libc.recv(fd, msg->msg_iov->iov_base,
				       msg->msg_iov->iov_len, flags);
	else
		r = ep->ctx->libc.recvmsg(fd, msg, flags);
	if (r < 0) {
		r = -errno;
		errno = saved;
	}
	if (r > 0 && !(flags & MSG_PEEK)) {
		if (!xvmc_ep_managed(ep)) {
			uint64_t sum = atomic_fetch_add_explicit(
				&c->rx.rcvd, (uint64_t)r, memory_order_relaxed);

			xvmc_stat_add(c->stats, XVMC_S_TCP_RX_BYTES, (uint64_t)r);
			stream_moved(ep, sum + (uint64_t)r);
		} else {
			section_lock(&c->rx.lock);
			r = xvmc_conn_rx_took(c, msg->msg_iov, msg->msg_iovlen,
					      (size_t)r);
			*ret_again = r == -EAGAIN;
			section_unlock(&c->rx.lock);
		}
	} else if (r > 0 && xvmc_ep_managed(ep)) {
		/* What was peeked at may have been a record. */
		*ret_again = true;
		r = -EAGAIN;
	}
	unwind_pop(&u, 0);
	if (xvmc_ep_gate_exit(&ep->rx_gate))
		xvmc_service_kick(ep);
	return r;
}

/* A read of no bytes still waits until there are some, or for SO_RCVTIMEO;
 * the kernel looks at what it was asked for when it has slept, not at why it
 * woke up. */
static ssize_t recv_nothing(struct xvmc_endpoint *ep, int flags, struct interrupt *in)
{
	char c;
	struct iovec vec = { .iov_base = &c, .iov_len = 1 };
	struct xvmc_iov it = xvmc_iov_make(&vec, 1);
	ssize_t r = recv_managed(ep, &it, flags | MSG_PEEK, false, in);

	return r > 0 || (r == -EAGAIN && !(flags & MSG_DONTWAIT)) ? 0 : r;
}

/* Whether a call waits is decided when it begins, whatever another thread does
 * to O_NONBLOCK meanwhile. */
static int decide(const struct xvmc_endpoint *ep, int flags)
{
	return ep->nonblock ? flags | MSG_DONTWAIT : flags;
}

/* It has slept, found the connection moved, and would sleep again: did a
 * handler run meanwhile? restart: as SA_RESTART says. */
static bool interrupted(const struct interrupt *in, int flags, bool restart)
{
	return in->slept && !(flags & MSG_DONTWAIT) && interrupt_came(in, restart);
}

static bool goes_on_asleep(const struct interrupt *in, bool some, int flags)
{
	return (some || in->slept) && !(flags & MSG_DONTWAIT);
}

/* Under MSG_WAITALL a blocking call goes on until the buffer is full, however
 * often the stream changes its way meanwhile. */
static bool goes_on(struct xvmc_endpoint *ep, const struct xvmc_iov *it, int flags,
		    bool kernels)
{
	/* What the kernel's own call found too little ended it for good. */
	return it->left && (flags & MSG_WAITALL) &&
	       !(flags & (MSG_PEEK | MSG_DONTWAIT)) &&
	       (!kernels || xvmc_ep_managed(ep));
}

ssize_t xvmc_sock_recv(struct xvmc_endpoint *ep, int fd, const struct iovec *vec,
		       size_t cnt, int flags, int *ret_msg_flags)
{
	struct xvmc_iov it = xvmc_iov_make(vec, cnt);
	struct iovec rest[64];
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)vec,
			      .msg_iovlen = cnt };
	struct interrupt in = interrupt_begin();
	int how = decide(ep, flags);
	ssize_t sum = 0, r;
	bool again, kernels;

	*ret_msg_flags = 0;
	do {
		again = false;
		kernels = false;
		if (xvmc_ep_gate_enter(&ep->rx_gate)) {
			kernels = sum == 0;
			if (sum) { /* it became PLAIN in the middle */
				msg.msg_iovlen = xvmc_iov_slice(&it, it.left, rest, 64);
				msg.msg_iov = rest;
			}
			r = recv_plain(ep, fd, &msg, flags,
				       goes_on_asleep(&in, sum > 0, how) ? &in : NULL,
				       sum > 0, &again);
			in.slept = true;
			if (r > 0)
				xvmc_iov_advance(&it, (size_t)r);
		} else if (!it.left) {
			r = sum ? 0 : recv_nothing(ep, how, &in);
			again = r == -ESTALE;
		} else {
			r = recv_managed(ep, &it, how, sum > 0, &in);
			again = r == -ESTALE;
		}
		if (r > 0)
			sum += r;
		if (again && interrupted(&in, how, !sum && !ep->rcv_timeo_ns)) {
			again = false;
			r = -EINTR;
		}
	} while (again || (r > 0 && goes_on(ep, &it, how, kernels)));
	if (it.left && ep->bell_holds && r != 0 && !(flags & MSG_PEEK))
		atomic_fetch_add_explicit(&ep->dries, 1, memory_order_release);
	return sum ? sum : r;
}

/* ---- sending ---- */

static size_t room_wanted(const struct conn_t *c, size_t left)
{
	size_t quarter = c->tx.s.size / 4;

	return left < quarter ? left : quarter;
}

static ssize_t send_managed_once(struct xvmc_endpoint *ep, struct xvmc_iov *it,
				 int flags, bool may_sleep, bool *ret_sleep)
{
	struct conn_t *c = &ep->conn;
	bool full;
	ssize_t r;

	*ret_sleep = false;
	if (ep->inherited) {
		r = xvmc_sock_inherited_use(ep);
		return r < 0 ? r : -ESTALE;
	}
	section_lock(&c->tx.lock);
	if (!xvmc_ep_managed(ep)) {
		section_unlock(&c->tx.lock);
		return -ESTALE;
	}
	ep->fork_idle = false;
	r = xvmc_conn_write(c, it, flags);
	if (r == -EAGAIN && may_sleep && stream_spin_tx(ep))
		r = xvmc_conn_write(c, it, flags);
	full = r == -EAGAIN && c->tx.path == XVMC_PATH_RING;
	if ((r == -EBUSY || (r == -EAGAIN && may_sleep)) &&
	    xvmc_ep_wait_begin(ep, POLLOUT)) {
		*ret_sleep = true;
		if (full && xvmc_conn_tx_arm(c, room_wanted(c, it->left))) {
			*ret_sleep = false;
			xvmc_ep_wait_end(ep, POLLOUT);
		}
	} else if (r != -EAGAIN && r != -EBUSY && ep->tx_waiters &&
		   (r < 0 || c->tx.path == XVMC_PATH_RING)) {
		endpoint_poke_tx(ep);
	}
	section_unlock(&c->tx.lock);
	if (full && !atomic_exchange(&ep->tx_full, true))
		xvmc_service_kick(ep);
	endpoint_events(ep);
	return r;
}

/* Sends all of it where blocking, else what fits. some: the call has sent bytes
 * before. */
static ssize_t send_or_sleep(struct visit *v, struct xvmc_iov *it, int flags, bool some)
{
	struct xvmc_endpoint *ep = v->ep;
	bool nonblock = (flags & MSG_DONTWAIT) != 0;
	uint64_t deadline = 0;
	ssize_t sum = 0, r;
	bool sleep;
	int w;

	for (;;) {
		r = send_managed_once(ep, it, flags, !nonblock, &sleep);
		if (r > 0) {
			sum += r;
			if (!it->left)
				return sum;
			continue;
		}
		if (r == -EBUSY) {
			/* A switch is being agreed: a millisecond at most. */
			if (sleep)
				stream_sleep(v, POLLOUT,
					     os_now_ns() + ep->conn.announce_ns, true);
			continue;
		}
		if (r == -ESTALE)
			return r; /* what went out shows in the cursor */
		if (r != -EAGAIN || nonblock)
			return sum ? sum : r;
		if (!sleep)
			continue;
		visit_begin(v);
		if (!deadline && ep->snd_timeo_ns)
			deadline = os_now_ns() + ep->snd_timeo_ns;
		w = stream_sleep(v, POLLOUT, deadline, sum == 0 && !some);
		if (w < 0)
			return sum ? sum : w;
	}
}

static ssize_t send_managed(struct xvmc_endpoint *ep, struct xvmc_iov *it, int flags,
			    bool some, struct interrupt *in)
{
	struct visit v = { .ep = ep, .in = *in };
	struct unwind u;
	ssize_t r;

	unwind_push(&u, visit_end, &v);
	r = send_or_sleep(&v, it, flags, some);
	unwind_pop(&u, 1);
	in->slept |= v.in.slept;
	return r;
}

static ssize_t send_plain(struct xvmc_endpoint *ep, int fd, struct msghdr *msg,
			  int flags, const struct interrupt *in, bool some)
{
	struct gate_guard guard = { &ep->tx_gate };
	struct unwind u;
	int saved = errno;
	ssize_t r;

	unwind_push(&u, gate_leave, &guard);
	if (in)
		r = send_rest(ep, fd, msg, flags, in, some);
	else if (msg->msg_iovlen == 1)
		r = ep->ctx->libc.send(fd, msg->msg_iov->iov_base,
				       msg->msg_iov->iov_len,
				       flags | MSG_NOSIGNAL);
	else
		r = ep->ctx->libc.sendmsg(fd, msg, flags | MSG_NOSIGNAL);
	if (r < 0) {
		r = -errno;
		errno = saved;
	} else {
		uint64_t sum = atomic_fetch_add_explicit(
			&ep->conn.tx.sent, (uint64_t)r, memory_order_relaxed);

		xvmc_stat_add(ep->ctx->stats, XVMC_S_TCP_TX_BYTES, (uint64_t)r);
		stream_moved(ep, sum + (uint64_t)r);
	}
	unwind_pop(&u, 0);
	if (xvmc_ep_gate_exit(&ep->tx_gate))
		xvmc_service_kick(ep);
	return r;
}

/* A write of no bytes still hears of a broken connection. */
static ssize_t send_nothing(struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;
	ssize_t r;

	section_lock(&c->tx.lock);
	r = xvmc_conn_tx_error(c);
	section_unlock(&c->tx.lock);
	return r;
}

ssize_t xvmc_sock_send(struct xvmc_endpoint *ep, int fd, const struct iovec *vec,
		       size_t cnt, int flags)
{
	struct xvmc_iov it = xvmc_iov_make(vec, cnt);
	struct iovec rest[64];
	struct interrupt in = interrupt_begin();
	int how = decide(ep, flags);
	size_t total = it.left;
	ssize_t r;

	for (;;) {
		bool some = it.left < total;

		if (xvmc_ep_gate_enter(&ep->tx_gate)) {
			struct msghdr msg = {
				.msg_iov = (struct iovec *)(uintptr_t)vec,
				.msg_iovlen = cnt,
			};

			if (some) { /* it became PLAIN in the middle of the call */
				msg.msg_iovlen = xvmc_iov_slice(&it, it.left, rest, 64);
				msg.msg_iov = rest;
			}
			r = send_plain(ep, fd, &msg, flags,
				       goes_on_asleep(&in, some, how) ? &in : NULL, some);
			in.slept = true;
			if (r > 0)
				xvmc_iov_advance(&it, (size_t)r);
			if (r <= 0 || !some || !it.left || (how & MSG_DONTWAIT))
				break;
		} else if (!it.left) {
			r = send_nothing(ep);
			break;
		} else {
			r = send_managed(ep, &it, how, some, &in);
			if (r != -ESTALE) {
				/* Who waits for room by edges has one coming now. */
				if (it.left && ep->bell_holds)
					xvmc_epoll_ep_blocked(ep);
				break;
			}
		}
		if (interrupted(&in, how, it.left == total && !ep->snd_timeo_ns)) {
			r = -EINTR;
			break;
		}
	}
	if (it.left < total)
		return (ssize_t)(total - it.left);
	if (r == -EPIPE && !(flags & MSG_NOSIGNAL))
		OS3(SYS_tgkill, os_getpid(), os_gettid(), SIGPIPE);
	return r;
}
