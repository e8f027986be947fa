/* SPDX-License-Identifier: MIT */
/*
 * What poll.c and poll-look.c share: a call, and what it knows of each
 * descriptor it was asked about.
 */
#ifndef XVMC_SOCKET_POLL_H
#define XVMC_SOCKET_POLL_H

#include "epoll.h"
#include "inside.h"
#include "interrupt.h"

/* What we know of one descriptor of the set. */
struct poll_entry {
	nfds_t at; /* its place in the caller's array */
	struct xvmc_endpoint *ep; /* or: */
	struct xvmc_epset *set;
	short want;   /* bells: POLLIN, POLLOUT */
	bool managed; /* its readiness comes from us this time round */
	uint32_t managed_times; /* so often it had been, when that was looked at */
	bool gated;   /* we are in its rx gate */
	bool waiting; /* its bells are held (or: counted as a sleeper) */
};

struct poll_call {
	struct xvmc_ctx *ctx;
	struct pollfd *fds;
	nfds_t n;
	struct poll_entry *ent;
	size_t nent;
	size_t nmanaged;
	bool others; /* descriptors that are the kernel's alone */
	bool kernel; /* those, or PLAIN endpoints: the kernel must be asked */
	struct pollfd *kfds; /* the kernel's view: n entries, then more bells */
	nfds_t nk;
	const sigset_t *sigmask;
	const struct timespec *timeout;
	uint64_t deadline;
	bool late; /* some of the timeout has passed */
	struct interrupt in;
	struct inside waits; /* while any is gated */
	void *heap;
};

/* Its readiness comes from us: as of now, or it did for a while since poll_classify,
 * and what the kernel has said in between may be of a record. */
bool poll_managed(const struct poll_entry *e);

/* Says which entries are MANAGED this time round. */
void poll_classify(struct poll_call *c);

/* Fills in revents of what is ours; returns how many are ready. arm: their
 * bells ring when that changes. */
int poll_look(struct poll_call *c, bool arm);

/* The kernel's view of the set. with_bells: to sleep on. */
void poll_build(struct poll_call *c, bool with_bells);

/* Asks the kernel, with that view and without waiting. */
int poll_kernel(struct poll_call *c);

/* Puts the kernel's results (of poll_build's set) together with ours, looking
 * at ours again. Returns how many are ready in all. */
int poll_merge(struct poll_call *c);

#endif
