/* SPDX-License-Identifier: MIT */
/*
 * splice out of a connection. Only the kernel can do it, so the connection
 * goes to TCP for good first. But bytes that were taken off TCP early, or that
 * a record of ours is behind, keep it from there until they are read, and the
 * program waits for them in this very call: those are copied into the pipe.
 */
#include <errno.h>
#include <signal.h>

#include "internal.h"

/* What a pipe that poll calls writable takes at once. */
#define PIECE 4096u
#define LOOK_NS 20000000u

/* Unread bytes that the kernel alone cannot give out as they should be. */
static bool ours_to_give(struct xvmc_endpoint *ep)
{
	struct conn_rx *rx = &ep->conn.rx;
	bool ours;

	section_lock(&rx->lock);
	ours = xvmc_ep_managed(ep) &&
	       (rx->front.len || (rx->err && xvmc_conn_rx_ready(&ep->conn) > 0) ||
		(rx->path == XVMC_PATH_TCP &&
		 (rx->in.len || (rx->expect != XVMC_POS_NONE && rx->expect != rx->rcvd))));
	section_unlock(&rx->lock);
	return ours;
}

/* 0: the pipe has room for a piece; -EAGAIN, -EINTR, -EPIPE. */
static int await_room(struct xvmc_endpoint *ep, int out, bool wait)
{
	static const struct timespec zero;
	struct pollfd p = { .fd = out, .events = POLLOUT };
	int saved = errno;
	int r = ep->ctx->libc.ppoll(&p, 1, wait ? NULL : &zero, NULL);

	r = r < 0 ? -errno : r == 0 ? -EAGAIN : p.revents & POLLERR ? -EPIPE : 0;
	errno = saved;
	if (r == -EPIPE)
		OS3(SYS_tgkill, os_getpid(), os_gettid(), SIGPIPE);
	return r;
}

/* Another writer may have been faster: what was read is not lost for that. */
static int put(struct xvmc_endpoint *ep, int out, const uint8_t *buf, size_t n)
{
	while (n) {
		ssize_t r = os_write(out, buf, n);

		if (r == -EAGAIN)
			r = await_room(ep, out, true);
		if (r < 0 && r != -EINTR)
			return (int)r;
		if (r > 0) {
			buf += r;
			n -= (size_t)r;
		}
	}
	return 0;
}

/* As much as there is, and as there is room for. 0: the end of the stream;
 * -ENODATA: nothing just now. */
static ssize_t copy(struct xvmc_endpoint *ep, int in, int out, size_t n, bool wait)
{
	uint8_t buf[PIECE];
	size_t sum = 0;
	ssize_t r = 0;

	while (sum < n) {
		struct iovec vec = { .iov_base = buf };

		r = await_room(ep, out, wait && !sum);
		if (r < 0)
			break;
		vec.iov_len = n - sum < PIECE ? n - sum : PIECE;
		r = xvmc_sock_recv(ep, in, &vec, 1, MSG_DONTWAIT);
		if (r <= 0) {
			r = r == -EAGAIN ? -ENODATA : r;
			break;
		}
		sum += (size_t)r;
		r = put(ep, out, buf, (size_t)r);
		if (r < 0)
			break;
	}
	return sum ? (ssize_t)sum : r;
}

ssize_t xvmc_sock_splice(struct xvmc_endpoint *ep, int in, int out, size_t n,
			 bool wait, bool *ret_kernels)
{
	uint64_t end = os_now_ns() + escape_ns(ep);
	uint32_t state;
	ssize_t r;

	*ret_kernels = false;
	while ((state = escape_begin(ep, XVMC_R_UNFOLLOWED)) != XVMC_EP_PINNED) {
		bool ours = ours_to_give(ep);

		if (xvmc_ep_lacks(ep) || (!ours && ep->conn.rx.err) || os_now_ns() >= end)
			break;
		r = ours ? copy(ep, in, out, n, wait) : -ENODATA;
		if (r != -ENODATA)
			return r;
		escape_wait(ep, state, LOOK_NS);
	}
	*ret_kernels = true;
	if (xvmc_sock_escape(ep, XVMC_R_UNFOLLOWED) < 0)
		return -ECONNRESET;
	return xvmc_sock_untold(ep, in, true);
}
