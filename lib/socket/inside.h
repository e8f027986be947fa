/* SPDX-License-Identifier: MIT */
/*
 * A thread's calls that are inside the kernel, in an endpoint's rx gate: a
 * recv, or a poll. More than one if signal handlers call us, too. Nobody may
 * read up to an expected record past a reader who may have bytes that are not
 * counted yet. But a handler cannot wait for the call that it has interrupted:
 * it counts those for it, and reads on. That call comes back when the handler
 * has returned, for what it waited for may have gone by the ring.
 */
#ifndef XVMC_SOCKET_INSIDE_H
#define XVMC_SOCKET_INSIDE_H

#include "internal.h"

struct poll_call;
struct visit;

struct inside {
	struct inside *outer; /* the call whose handler made this one */
	struct visit *reader; /* or: */
	struct poll_call *poll;
	/* A handler has read past it: it must not sleep on in the kernel. */
	bool passed;
};

/* The thread's own. */
extern __thread struct inside *inside_innermost
	__attribute__((tls_model("initial-exec")));

/* Around the kernel's call, in the section that enters or leaves the gate. end does
 * nothing where begin was not called. */
static inline void inside_begin(struct inside *in, struct visit *reader,
				struct poll_call *poll)
{
	*in = (struct inside){ .outer = inside_innermost, .reader = reader, .poll = poll };
	inside_innermost = in;
}

static inline void inside_end(const struct inside *in)
{
	/* Not always the last: handlers may change from one stack to another. */
	for (struct inside **at = &inside_innermost; *at; at = &(*at)->outer)
		if (*at == in) {
			*at = in->outer;
			return;
		}
}

/*
 * rx.lock held, MANAGED: is anybody in ep's rx gate whom the caller must let out
 * before it reads past the position of an expected record? Calls of this thread
 * are not: what they have taken is counted, and they are passed.
 */
bool inside_others(struct xvmc_endpoint *ep);

#endif
