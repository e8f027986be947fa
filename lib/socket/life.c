/* SPDX-License-Identifier: MIT */
/*
 * The life of descriptors: dup, shutdown, close; and sendfile.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "internal.h"

void xvmc_sock_dup(struct xvmc_ctx *ctx, int oldfd, int newfd)
{
	struct xvmc_obj *obj = xvmc_fd_get(ctx, oldfd);

	if (!obj) {
		/* newfd may have been something of ours before */
		fdtab_set(ctx, newfd, NULL);
		return;
	}
	if (obj->kind == XVMC_OBJ_ENDPOINT)
		atomic_fetch_add(&((struct xvmc_endpoint *)obj)->nfds, 1);
	fdtab_set(ctx, newfd, obj); /* takes over our reference */
}

/* ---- close ---- */

/* ep->fd shall be a number that is still open, and is until we are done: under
 * tx.lock, where the service thread uses it. */
static void pick_other_fd(struct xvmc_ctx *ctx, struct xvmc_endpoint *ep, int closed)
{
	if (ep->fd != closed)
		return;
	for (int fd = 0; fd < 65536; fd++)
		if (fd != closed && xvmc_fd_peek(ctx, fd) == &ep->obj) {
			ep->fd = fd;
			return;
		}
}

/* Both locks held. Bytes of the application's that it has not read, wherever
 * they are; what is only ours (records, bytes that come twice) is no such. */
bool endpoint_left_unread(struct xvmc_endpoint *ep)
{
	struct conn_rx *rx = &ep->conn.rx;

	/* Our own records that nobody has read would count for the kernel as
	 * unread, too: take them off first. */
	if (!(ep->rx_gate & XVMC_GATE_COUNT))
		xvmc_conn_rx_pump(&ep->conn);
	if (xvmc_conn_rx_ready(&ep->conn) > 0)
		return true;
	return rx->path == XVMC_PATH_TCP &&
	       (rx->pull > rx->skip ||
		(rx->expect != XVMC_POS_NONE && rx->expect > rx->rcvd));
}

static bool threads_inside(const struct xvmc_endpoint *ep)
{
	return endpoint_inside(ep) ||
	       ((ep->rx_gate | ep->tx_gate) & XVMC_GATE_COUNT);
}

static void close_managed(struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;
	bool reset, keep;
	uint64_t linger;

	section_lock(&c->tx.lock);
	section_lock(&c->rx.lock);
	if (!xvmc_ep_managed(ep))
		goto out;
	if (threads_inside(ep)) {
		ep->close_later = true; /* our put does it, or theirs */
		goto out;
	}
	ep->closed = true;
	/* As the kernel does: whoever closes with unread bytes resets. */
	reset = endpoint_left_unread(ep);
	linger = linger_ns(ep);
	if (linger == 0) {
		reset = true;
		xvmc_conn_tx_abandon(c, XVMC_R_CLOSE);
		c->tx.fin_owed = false;
	} else {
		xvmc_conn_tx_leave(c, XVMC_R_CLOSE, false);
		if (reset)
			endpoint_reset_on_close(ep);
	}
	xvmc_conn_rx_stop(c);
	/* A record of the peer's, or a replay, that meets a closed socket would
	 * reset what shall end in peace: then the service thread keeps the
	 * socket for a moment, to take them off. So it does where close has to
	 * wait for what it sends. */
	keep = !c->rx.eof && (c->rx.path == XVMC_PATH_RING || c->rx.skip ||
			      c->rx.expect != XVMC_POS_NONE);
	if (linger != LINGER_NONE && xvmc_conn_tx_pending(c))
		keep = true;
	if (!reset && keep && !c->tx.err && !c->rx.err) {
		c->tx.shut = c->tx.fin_owed = true;
		xvmc_conn_tx_flush(c);
		ep->svc.lingers = true;
		linger_begin(ep, linger);
	} else if (!xvmc_conn_tx_pending(c)) {
		/* Ours must not keep the connection open. */
		os_close(ep->io_fd);
		ep->io_fd = -1;
		ep->svc.watch_tcp = false; /* went with it */
	} else if (!reset) {
		linger_begin(ep, linger);
	}
out:
	section_unlock(&c->rx.lock);
	section_unlock(&c->tx.lock);
}

/* Rings are being made: our duplicate must not keep the connection open. False:
 * they have been made meanwhile. */
static bool close_half_made(struct xvmc_endpoint *ep)
{
	bool made;

	/* Never worth one: the service thread, should it hear of it now, finds
	 * that no number is left. Both look after they have said so. */
	if (ep->state == XVMC_EP_TRACKED)
		return true;
	section_lock(&ep->conn.tx.lock);
	made = xvmc_ep_managed(ep);
	if (!made && ep->io_fd >= 0) {
		os_close(ep->io_fd);
		ep->io_fd = -1;
	}
	section_unlock(&ep->conn.tx.lock);
	return !made;
}

void endpoint_close_late(struct xvmc_endpoint *ep)
{
	if (threads_inside(ep) || !atomic_exchange(&ep->close_later, false))
		return;
	if (xvmc_ep_managed(ep))
		close_managed(ep);
	xvmc_service_kick(ep);
}

void endpoint_let_go(struct xvmc_endpoint *ep)
{
	int fd = atomic_exchange(&ep->held_fd, -1);

	if (fd >= 0)
		os_close(fd);
}

/* On plain TCP, and a thread is on its way from one sleep to the next: it goes
 * on with this. */
static void hold(struct xvmc_endpoint *ep, int fd)
{
	int own = xvmc_numbers_dup(fd);

	if (own < 0)
		return;
	atomic_store(&ep->held_fd, own);
	if (!endpoint_inside(ep)) /* the last has left meanwhile */
		endpoint_let_go(ep);
}

/* Nobody here is to use the socket again: what follows on it is another
 * process's affair. In this order, for until the number is closed another
 * thread may use it unseen. */
static bool close_and_let_go(struct xvmc_ctx *ctx, struct xvmc_endpoint *ep, int fd)
{
	fdtab_set(ctx, fd, NULL);
	os_close(fd);
	fork_let_go(ep);
	return true;
}

static void close_last(struct xvmc_endpoint *ep, int fd)
{
	if (xvmc_ep_managed(ep) || !close_half_made(ep))
		close_managed(ep);
	if (!xvmc_ep_managed(ep) && endpoint_inside(ep))
		hold(ep, fd);
}

static bool forget_ep(struct xvmc_endpoint *ep, int fd, bool close)
{
	struct xvmc_ctx *ctx = ep->ctx;
	bool done = false;

	/* Another process may have the socket open: then the stream goes on
	 * without us, and all of it must be in the kernel. While this number
	 * counts. */
	if (fork_shared(ep) && ep->nfds == 1 && (xvmc_ep_managed(ep) || ep->owned))
		xvmc_sock_escape(ep, XVMC_R_FORK);
	xvmc_epoll_fd_closed(ctx, ep, fd);
	if (atomic_fetch_sub(&ep->nfds, 1) > 1) {
		section_lock(&ep->conn.tx.lock);
		pick_other_fd(ctx, ep, fd);
		section_unlock(&ep->conn.tx.lock);
	} else {
		if (xvmc_ep_lacks(ep) != HOLD_BOTH)
			close_last(ep, fd);
		/* Without a service thread there is nothing to tell one. */
		if ((ep->attended || ep->state != XVMC_EP_TRACKED) && ctx->service)
			xvmc_service_kick(ep);
		if (ep->hold && close)
			done = close_and_let_go(ctx, ep, fd);
		else if (ep->hold)
			fork_uncounted(ep);
	}
	if (!done)
		fdtab_set(ctx, fd, NULL);
	return done;
}

static bool forget(struct xvmc_ctx *ctx, int fd, bool close)
{
	struct xvmc_obj *obj = xvmc_fd_get(ctx, fd);
	bool done = false;

	if (!obj)
		return false;
	if (obj->kind == XVMC_OBJ_ENDPOINT)
		done = forget_ep((struct xvmc_endpoint *)obj, fd, close);
	else
		fdtab_set(ctx, fd, NULL);
	xvmc_obj_put(ctx, obj);
	return done;
}

bool xvmc_ep_close(struct xvmc_endpoint *ep, int fd)
{
	return forget_ep(ep, fd, true);
}

bool xvmc_sock_close(struct xvmc_ctx *ctx, int fd)
{
	return forget(ctx, fd, true);
}

void xvmc_sock_forget(struct xvmc_ctx *ctx, int fd)
{
	forget(ctx, fd, false);
}

void xvmc_sock_dissolved(struct xvmc_ctx *ctx, int fd)
{
	struct xvmc_endpoint *ep = xvmc_ep_get(ctx, fd);
	bool held;

	if (!ep)
		return;
	section_lock(&ctx->epoll_lock);
	held = !xvmc_list_empty(&ep->epregs);
	section_unlock(&ctx->epoll_lock);
	xvmc_ep_put(ep);
	/* What is forgotten is out of the sets, as if it were closed. */
	if (!held)
		xvmc_sock_forget(ctx, fd);
}

/* ---- shutdown ---- */

int xvmc_sock_shutdown(struct xvmc_endpoint *ep, int fd, int how)
{
	struct conn_t *c = &ep->conn;
	int r;

	/* What another process has in its rings comes before the end. */
	r = xvmc_sock_use(ep, HOLD_TX);
	if (r < 0)
		return r;
	if (how != SHUT_WR) {
		/* The kernel's own notion of a socket nobody reads. */
		r = xvmc_sock_escape_here(ep, XVMC_R_SHUTDOWN);
		if (r < 0)
			return r;
	}
	section_lock(&c->tx.lock);
	if (how == SHUT_WR && xvmc_ep_managed(ep)) {
		ep->svc.want_ring = false;
		xvmc_conn_tx_leave(c, XVMC_R_SHUTDOWN, false);
		/* What waits for room goes before the end; else TCP knows
		 * whether there is one yet to be made. */
		c->tx.fin_owed = xvmc_conn_tx_pending(c);
		r = c->tx.fin_owed ? 0 : os_shutdown(ep->io_fd, SHUT_WR);
		if (r == 0)
			c->tx.shut = true;
		section_unlock(&c->tx.lock);
		endpoint_events(ep);
		return r;
	}
	/* Under the lock: whoever makes it MANAGED meanwhile shall know. */
	r = os_shutdown(fd, how);
	if (r == 0 && how != SHUT_RD)
		c->tx.shut = true;
	section_unlock(&c->tx.lock);
	return r;
}

/* ---- sendfile ---- */

#define SENDFILE_PIECE (64u * 1024u)

/* On a ring the file is read into a buffer and sent like any other bytes:
 * one copy more than the kernel's way into TCP, and still the shorter way. */
ssize_t xvmc_sock_sendfile(struct xvmc_endpoint *ep, int out_fd, int in_fd,
			   off_t *off, size_t count)
{
	ssize_t sum = 0, r = 0;
	struct stat st;
	uint8_t *buf;
	off_t pos;

	r = OS4(SYS_newfstatat, in_fd, "", &st, AT_EMPTY_PATH);
	if (r < 0)
		return r;
	pos = off ? *off : OS3(SYS_lseek, in_fd, 0, SEEK_CUR);
	if (S_ISDIR(st.st_mode))
		return -EINVAL;
	if (!off && pos < 0)
		return pos == -ESPIPE ? -EINVAL : pos;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		if (OS3(SYS_lseek, in_fd, 0, SEEK_CUR) == -ESPIPE)
			return -ESPIPE;
		/* Whether it can be sent, and from where, differs from device
		 * to device and from kernel to kernel. */
		r = xvmc_sock_escape(ep, XVMC_R_UNFOLLOWED);
		return r < 0 ? -ECONNRESET :
			       OS4(SYS_sendfile, out_fd, in_fd, off, count);
	}
	if (pos < 0)
		return -EINVAL;
	buf = malloc(SENDFILE_PIECE);
	if (!buf)
		return -ENOMEM;
	while (count) {
		struct iovec vec = { .iov_base = buf };

		r = os_pread(in_fd, buf, count < SENDFILE_PIECE ? count : SENDFILE_PIECE,
			     pos);
		if (r <= 0)
			break;
		vec.iov_len = (size_t)r;
		r = xvmc_sock_send(ep, out_fd, &vec, 1, 0);
		if (r <= 0)
			break;
		sum += r;
		pos += r;
		count -= (size_t)r;
		if ((size_t)r < vec.iov_len)
			break;
	}
	free(buf);
	if (off)
		*off = pos;
	else if (sum)
		OS3(SYS_lseek, in_fd, pos, SEEK_SET);
	return sum ? sum : r;
}
