/* SPDX-License-Identifier: MIT */
/*
 * Packets in and out.
 */
#include "conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hv/local-wire.h"
#include "xvmcd.h"

#define OUT_MAX (4u << 20)
#define TURN 32 /* packets of one connection before the others' turn */

struct packet {
	struct xvmc_list node;
	int fds[XVMC_LW_FDS_MAX];
	unsigned int nfds;
	size_t len;
	_Alignas(8) char data[];
};

static_assert(offsetof(struct xvmc_agent_hdr, len) == offsetof(struct xvmc_lw_hdr, len) &&
	      offsetof(struct xvmc_agent_hdr, type) == offsetof(struct xvmc_lw_hdr, type),
	      "both protocols' lengths are found alike");

static void packet_free(struct packet *p)
{
	xvmc_list_del(&p->node);
	while (p->nfds > 0)
		close(p->fds[--p->nfds]);
	free(p);
}

bool conn_dying(const struct conn *conn)
{
	return conn->closing || xvmc_list_linked(&conn->dead);
}

void conn_kill(struct conn *conn)
{
	if (!xvmc_list_linked(&conn->dead))
		xvmc_list_add(&conn->d->dead, &conn->dead);
}

/* One that is ending is not listened to any more. */
static void want(struct conn *conn, bool writing)
{
	conn->writing = writing;
	loop_mod(conn->d->loop, &conn->watch,
		 (conn->closing ? 0 : EPOLLIN) | (writing ? EPOLLOUT : 0));
}

void conn_finish(struct conn *conn)
{
	conn->closing = true;
	if (xvmc_list_empty(&conn->out))
		conn_kill(conn);
	else
		want(conn, true);
}


static int queue(struct conn *conn, const void *msg, size_t len,
		 const int *fds, unsigned int nfds)
{
	struct packet *p;

	if (conn->out_bytes + len > OUT_MAX)
		return -ENOBUFS;
	p = calloc(1, sizeof(*p) + len);
	if (!p)
		return -ENOMEM;
	xvmc_list_add(&conn->out, &p->node);
	p->len = len;
	memcpy(p->data, msg, len);
	for (; p->nfds < nfds; p->nfds++) {
		p->fds[p->nfds] = fcntl(fds[p->nfds], F_DUPFD_CLOEXEC, 0);
		if (p->fds[p->nfds] < 0) {
			packet_free(p);
			return -EMFILE;
		}
	}
	conn->out_bytes += len;
	if (!conn->writing)
		want(conn, true);
	return 0;
}

void conn_send(struct conn *conn, const void *msg, const int *fds,
	       unsigned int nfds)
{
	const struct xvmc_lw_hdr *hdr = msg;
	int rc = -EAGAIN;

	if (conn_dying(conn))
		return;
	if (conn->ops->send) {
		conn->ops->send(conn, msg);
		return;
	}
	if (xvmc_list_empty(&conn->out))
		rc = xvmc_lw_send(conn->watch.fd, msg, fds, nfds);
	if (rc == -EAGAIN)
		rc = queue(conn, msg, hdr->len, fds, nfds);
	if (rc < 0)
		conn_kill(conn);
}

static void flush(struct conn *conn)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &conn->out) {
		struct packet *p = xvmc_list_entry(it, struct packet, node);
		int rc = xvmc_lw_send(conn->watch.fd, p->data, p->fds, p->nfds);

		if (rc == -EAGAIN)
			return;
		if (rc < 0) {
			conn_kill(conn);
			return;
		}
		conn->out_bytes -= p->len;
		packet_free(p);
	}
	want(conn, false);
	if (conn->closing)
		conn_kill(conn);
}

static void take(struct conn *conn)
{
	for (int i = 0; i < TURN && !conn_dying(conn); i++) {
		_Alignas(8) char buf[XVMC_AGENT_MAX];
		int fds[XVMC_LW_FDS_MAX];
		unsigned int nfds = 0;
		ssize_t n;

		n = xvmc_lw_recv(conn->watch.fd, buf, sizeof(buf), fds, &nfds);
		if (n == -EAGAIN)
			return;
		if (n <= 0 && n != -EMSGSIZE) {
			conn_kill(conn);
			return;
		}
		/* A length of 0 is a malformed message like any other. */
		conn->ops->message(conn, buf, n < 0 ? 0 : (size_t)n, fds, nfds);
		while (nfds > 0)
			if (fds[--nfds] >= 0)
				close(fds[nfds]);
	}
}

static void ready(struct watch *watch, uint32_t events)
{
	struct conn *conn = (struct conn *)watch;

	if (xvmc_list_linked(&conn->dead))
		return;
	if (events & EPOLLOUT)
		flush(conn);
	/* What it said before it hung up still counts. */
	if (events & EPOLLIN && !conn->closing)
		take(conn);
	else if (events & (EPOLLERR | EPOLLHUP))
		conn_kill(conn);
}

int conn_init(struct conn *conn, struct xvmcd *d, int sock,
	      const struct conn_ops *ops)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	int rc = 0;

	conn->d = d;
	conn->ops = ops;
	conn->watch = (struct watch){ .fd = sock, .ready = ready };
	xvmc_list_init(&conn->out);
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		rc = -errno;
	else
		rc = loop_add(d->loop, &conn->watch, EPOLLIN);
	if (rc < 0) {
		close(sock);
		return rc;
	}
	conn->pid = cred.pid;
	conn->uid = cred.uid;
	return 0;
}

void conn_done(struct conn *conn)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_del(&conn->node);
	xvmc_list_del(&conn->dead);
	xvmc_list_each(it, tmp, &conn->out)
		packet_free(xvmc_list_entry(it, struct packet, node));
	loop_del(conn->d->loop, &conn->watch);
	close(conn->watch.fd);
}

void conn_bury(struct xvmcd *d)
{
	/* An end may cause others. */
	while (!xvmc_list_empty(&d->dead)) {
		struct conn *conn = xvmc_list_entry(d->dead.next, struct conn, dead);

		conn->closing = true; /* nobody says anything to it now */
		xvmc_list_del(&conn->dead);
		conn->ops->ended(conn);
	}
}
