/* SPDX-License-Identifier: MIT */
/*
 * A process's or tool's connection to one of xvmcd's two sockets: packets
 * in, packets out through a bounded queue, and an end that never comes in
 * the middle of something. What the packets mean is agent.c's and
 * hvcalls.c's business.
 */
#ifndef XVMCD_CONN_H
#define XVMCD_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/list.h"
#include "loop.h"

struct conn;
struct xvmcd;

struct conn_ops {
	/* One packet. Descriptors left at fds[i] >= 0 are closed after it. */
	void (*message)(struct conn *conn, const void *msg, size_t len,
			int *fds, unsigned int nfds);
	/* The connection has ended: frees it. Nothing else is under way. */
	void (*ended)(struct conn *conn);
	/* Instead of the socket, where there is none; or NULL. */
	void (*send)(struct conn *conn, const void *msg);
};

struct conn {
	struct watch watch; /* first */
	struct xvmcd *d;
	const struct conn_ops *ops;
	struct xvmc_list node;    /* of d->agents or d->hvs */
	struct xvmc_list dead;    /* of d->dead */
	struct xvmc_list out;     /* packets that did not fit */
	size_t out_bytes;
	bool closing; /* ends when the queue has been sent */
	bool writing; /* EPOLLOUT is asked for */
	pid_t pid;
	uid_t uid;
};

/* Takes over a connected socket. On failure the socket is closed. */
int conn_init(struct conn *conn, struct xvmcd *d, int sock,
	      const struct conn_ops *ops);

/* Frees the queue and closes the socket; for ops->ended. */
void conn_done(struct conn *conn);

/*
 * Sends a message (its length is in the header, at the same place in both
 * protocols) with descriptors, or queues it. One that reads so slowly that
 * 4 MiB pile up is ended. Nothing is sent to a connection that is ending.
 */
void conn_send(struct conn *conn, const void *msg, const int *fds,
	       unsigned int nfds);

/* Ends the connection soon: at once, or after what is queued. */
void conn_kill(struct conn *conn);
void conn_finish(struct conn *conn);

/* Whether it is ending: it counts as gone. */
bool conn_dying(const struct conn *conn);

/* Buries what has died in this round. */
void conn_bury(struct xvmcd *d);

#endif
