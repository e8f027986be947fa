/* SPDX-License-Identifier: MIT */
/*
 * Sending, blocking and not, on an endpoint; as stream-rx.c. [S 5]
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "stream.h"

/* The kernel's own blocking call goes on until its last byte is out, and no ring
 * can be entered meanwhile: it is asked for no more than this at a time. */
#define PIECE (512u * 1024u)

static size_t room_wanted(const struct conn_t *c, size_t left)
{
	size_t quarter = c->tx.s.size / 4;

	return left < quarter ? left : quarter;
}

/* What is not sent waits for the ring: a record that TCP does not take yet is no lack
 * of room. */
static bool waits_for_room(const struct conn_t *c)
{
	return c->tx.path == XVMC_PATH_RING && !xvmc_conn_tx_pending(c);
}

static ssize_t send_managed_once(struct visit *v, struct xvmc_iov *it,
				 int flags, bool may_sleep, bool *ret_sleep)
{
	struct xvmc_endpoint *ep = v->ep;
	struct conn_t *c = &ep->conn;
	bool full, found, grow;
	ssize_t r;

	*ret_sleep = false;
	if (xvmc_ep_lacks(ep) & HOLD_TX) {
		r = xvmc_sock_hold(ep, HOLD_TX);
		return r < 0 ? r : -ESTALE;
	}
	section_lock(&c->tx.lock);
	if (!xvmc_ep_managed(ep)) {
		section_unlock(&c->tx.lock);
		return -ESTALE;
	}
	endpoint_used(ep);
	r = xvmc_conn_write(c, it, flags);
	found = (r == -EAGAIN || (it->left && !may_sleep)) && waits_for_room(c);
	if (r == -EAGAIN && may_sleep && stream_spin_tx(ep))
		r = xvmc_conn_write(c, it, flags);
	if (it->left && may_sleep)
		visit_begin(v);
	full = r == -EAGAIN && waits_for_room(c);
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
	grow = found && grow_full(ep, *ret_sleep || !may_sleep);
	section_unlock(&c->tx.lock);
	if ((full && !atomic_exchange(&ep->tx_full, true)) || grow ||
	    fork_alone_tx(ep))
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
		r = send_managed_once(v, it, flags, !nonblock, &sleep);
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
		if (!deadline && ep->snd_timeo_ns)
			deadline = os_now_ns() + ep->snd_timeo_ns;
		w = stream_sleep(v, POLLOUT, deadline, sum == 0 && !some);
		if (w < 0)
			return sum ? sum : w;
	}
}

/* For a call that has slept before, or (some) has sent bytes. */
static ssize_t send_rest(struct visit *v, int fd, const struct iovec *vec, size_t cnt,
			 int flags, bool some)
{
	struct xvmc_endpoint *ep = v->ep;
	struct msghdr msg = { .msg_iov = (struct iovec *)(uintptr_t)vec,
			      .msg_iovlen = cnt };
	struct own_fd own;
	struct unwind u;
	ssize_t r;

	if (!stream_own_fd(ep, fd, &own))
		return -1;
	unwind_push(&u, stream_own_close, &own);
	do
		r = ep->ctx->libc.sendmsg(own.fd, &msg, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
	while (r < 0 && errno == EAGAIN &&
	       stream_sleep_plain(ep, own.fd, POLLOUT, ep->snd_timeo_ns, &v->in, some) > 0);
	unwind_pop(&u, 1);
	return r;
}

/* The kernel's own call, in the gate. */
static inline ssize_t send_kernel(struct visit *v, int fd, const struct iovec *vec,
				  size_t cnt, int flags)
{
	const struct xvmc_libc *libc = &v->ep->ctx->libc;
	struct msghdr msg;

	if (cnt == 1)
		return libc->send(fd, vec->iov_base, vec->iov_len, flags | MSG_NOSIGNAL);
	msg = (struct msghdr){ .msg_iov = (struct iovec *)(uintptr_t)vec, .msg_iovlen = cnt };
	return libc->sendmsg(fd, &msg, flags | MSG_NOSIGNAL);
}

/* It, or the rest of a call, counted. */
static inline ssize_t send_plain(struct visit *v, int fd, const struct iovec *vec,
				 size_t cnt, int flags, bool rest, bool some)
{
	struct xvmc_endpoint *ep = v->ep;
	int saved = errno;
	uint64_t sum;
	ssize_t r;

	r = rest ? send_rest(v, fd, vec, cnt, flags, some) :
		   send_kernel(v, fd, vec, cnt, flags);
	if (r < 0)
		r = -errno;
	errno = saved; /* the rest may have slept before it went */
	if (r >= 0) {
		sum = atomic_fetch_add_explicit(&ep->conn.tx.sent, (uint64_t)r,
						memory_order_relaxed);
		xvmc_stat_add(ep->ctx->stats, XVMC_S_TCP_TX_BYTES, (uint64_t)r);
		stream_moved(ep, sum + (uint64_t)r);
	}
	visit_leave_gate(v);
	v->in.slept = true;
	return r;
}

/* A write of no bytes still hears of a broken connection. -ESTALE: it is the
 * kernel's. */
static ssize_t send_nothing(struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;
	ssize_t r;

	if (xvmc_ep_lacks(ep) & HOLD_TX) {
		r = xvmc_sock_hold(ep, HOLD_TX);
		return r < 0 ? r : -ESTALE;
	}
	section_lock(&c->tx.lock);
	r = xvmc_ep_managed(ep) ? xvmc_conn_write_nothing(c) : -ESTALE;
	section_unlock(&c->tx.lock);
	return r;
}

/* Worth it to come back for the rest? With SO_SNDTIMEO no: that is the time the
 * kernel's one call has. */
static bool in_pieces(struct xvmc_endpoint *ep, int fd, const struct xvmc_iov *it, int how)
{
	if (it->left <= PIECE || (how & MSG_DONTWAIT) || ep->state == XVMC_EP_PINNED)
		return false;
	settings_note(ep, fd);
	return !ep->snd_timeo_ns;
}

/* The call, step by step, until all of it has gone or something ends it. Returns
 * how much has, or -errno. */
static ssize_t send_on(struct visit *v, int fd, const struct iovec *vec, size_t cnt,
		       int flags, int how)
{
	struct xvmc_endpoint *ep = v->ep;
	struct xvmc_iov it = xvmc_iov_make(vec, cnt);
	size_t total = it.left;
	struct iovec rest[64];
	ssize_t r;

	for (;;) {
		bool some = it.left < total, go_on;

		if (visit_enter_gate(v, POLLOUT)) {
			const struct iovec *from = vec;
			size_t n = cnt, piece = 0;

			go_on = stream_goes_on(&v->in, some, how);
			if (some) { /* it became PLAIN in the middle of the call */
				n = xvmc_iov_slice(&it, it.left, rest, 64);
				from = rest;
			} else if (!go_on && in_pieces(ep, fd, &it, how)) {
				visit_begin(v);
				n = xvmc_iov_slice(&it, PIECE, rest, 64);
				from = rest;
				piece = xvmc_iov_bytes(rest, n);
			}
			r = send_plain(v, fd, from, n, flags, go_on, some);
			if (r > 0)
				xvmc_iov_advance(&it, (size_t)r);
			/* The kernel's own call has waited for all it was given. */
			if (r <= 0 || !it.left || !(go_on || (size_t)r == piece))
				break;
		} else if (!it.left) {
			r = send_nothing(ep);
			if (r != -ESTALE)
				break;
		} else {
			r = send_or_sleep(v, &it, how, some);
			if (r != -ESTALE) {
				/* Who waits for room by edges has one coming now. */
				if (it.left && ep->bell_holds)
					xvmc_epoll_ep_blocked(ep);
				break;
			}
		}
		if (stream_interrupted(&v->in, how, it.left == total && !ep->snd_timeo_ns)) {
			r = -EINTR;
			break;
		}
	}
	return it.left < total ? (ssize_t)(total - it.left) : r;
}

ssize_t xvmc_sock_send(struct xvmc_endpoint *ep, int fd, const struct iovec *vec,
		       size_t cnt, int flags)
{
	int how = stream_decide(ep, fd, flags);
	struct visit v;
	struct unwind u;
	ssize_t r;

	visit_init(&v, ep, &ep->inside_tx);
	unwind_push(&u, visit_abandon, &v);
	/* As a rule one call of the kernel's is all. */
	if (xvmc_iov_bytes(vec, cnt) <= PIECE && visit_enter_gate(&v, POLLOUT))
		r = send_plain(&v, fd, vec, cnt, flags, false, false);
	else
		r = send_on(&v, fd, vec, cnt, flags, how);
	unwind_pop(&u, 0);
	visit_end(&v);
	if (r == -EPIPE && !(flags & MSG_NOSIGNAL))
		OS3(SYS_tgkill, os_getpid(), os_gettid(), SIGPIPE);
	return r;
}
