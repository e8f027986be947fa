/* SPDX-License-Identifier: MIT */
/*
 * Guests in the test's own process: contexts of lib/socket with plain libc
 * beneath, and TCP connections between them, called as the wrappers call them.
 */
#ifndef XVMC_TEST_GUESTS_H
#define XVMC_TEST_GUESTS_H

#include "socket/socket.h"

struct guest_pair {
	struct xvmc_ctx *ctx[2];
	int fd[2];
	struct xvmc_endpoint *ep[2]; /* NULL: this end is closed */
};

/* A guest of the xvmcd that listens in dir, in domain. */
void guest_make(struct xvmc_ctx *ctx, const char *dir, const char *domain);

/* a connects to b, over loopback; both may be the same guest. */
void guest_pair_make(struct guest_pair *p, struct xvmc_ctx *a, struct xvmc_ctx *b);
/* The same, but what accept gives is O_NONBLOCK. */
void guest_pair_make_nonblock(struct guest_pair *p, struct xvmc_ctx *a,
			      struct xvmc_ctx *b);
/* Closes one end, if it is open. */
void guest_pair_end(struct guest_pair *p, int i);

/* Do both directions of that end go by ring? */
bool guest_on_ring(const struct guest_pair *p, int i);
bool guest_both_on_ring(const struct guest_pair *p);
/* One message each way, of its own; what arrives is what was sent. */
void guest_trip(struct guest_pair *p);

/* By what does that end send? */
enum xvmc_path guest_tx_path(const struct guest_pair *p, int i);
/* Both ends are worth a ring from now on. */
void guest_pair_queue(struct guest_pair *p);

/* Sends all of it; waits for room. */
void guest_send(struct guest_pair *p, int i, const void *buf, size_t n);
/* What xvmc_sock_recv says. */
ssize_t guest_recv(struct guest_pair *p, int i, void *buf, size_t n, int flags);

#endif
