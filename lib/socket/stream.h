/* SPDX-License-Identifier: MIT */
/*
 * What stream.c and stream-wait.c share: the ways to wait in a call on a
 * MANAGED endpoint.
 */
#ifndef XVMC_SOCKET_STREAM_H
#define XVMC_SOCKET_STREAM_H

#include "base/unwind.h"
#include "inside.h"
#include "interrupt.h"

/* Waits a little for the ring to fill, to drain; the direction's lock held.
 * True: it pays to look again. */
bool stream_spin_rx(struct xvmc_endpoint *ep);
bool stream_spin_tx(struct xvmc_endpoint *ep);

/* A call on its way: what it has entered and must leave. */
struct visit {
	struct xvmc_endpoint *ep;
	short gate;  /* POLLIN, POLLOUT: inside that direction's; or 0 */
	bool stays;  /* may sleep: keeps the connection open, whoever closes its
		      * number, and is counted ... */
	_Atomic uint32_t *inside; /* ... here */
	struct interrupt in;
	/* where the kernel's recv puts what it takes, until that is counted; or
	 * NULL */
	const struct iovec *into;
	size_t into_cnt;
	struct inside reads; /* while gate is POLLIN */
	/* A handler has counted it: so many bytes are the application's. */
	bool settled;
	size_t kept;
};

/* inside: the count of the direction that it is about. */
static inline void visit_init(struct visit *v, struct xvmc_endpoint *ep,
			      _Atomic uint32_t *inside)
{
	v->ep = ep;
	v->gate = 0;
	v->stays = false;
	v->inside = inside;
	v->into = NULL;
	v->settled = false;
	interrupt_begin(&v->in);
}

/* stream-rx.c: torn out of the kernel's recv. */
void visit_torn(struct visit *v);
/* rx.lock held, nobody else reads: interrupted there by a handler, who counts what
 * it has taken. False: that cannot be known. */
bool visit_settle(struct visit *v);

/* Sleeps on a direction's bell; no lock held, wait_begin done, bell armed: it
 * calls wait_end, also if the thread is cancelled. deadline: of os_now_ns, or
 * 0; restart: as SA_RESTART says, else every signal ends it. 0: woken; -EINTR;
 * -EAGAIN: deadline. */
int stream_sleep(struct visit *v, short event, uint64_t deadline, bool restart);

/* From here on the call keeps the connection open, whoever closes its number. A
 * call on a MANAGED one does so once it has to wait, or to come back for the
 * rest, under the direction's lock: so does whoever closes it. */
void visit_begin(struct visit *v);

/* Into the kernel, unless the endpoint is MANAGED. event: POLLIN or POLLOUT, the
 * direction. No handler finds us halfway. */
static inline bool visit_enter_gate(struct visit *v, short event)
{
	section_enter();
	if (xvmc_ep_gate_enter(event == POLLIN ? &v->ep->rx_gate : &v->ep->tx_gate)) {
		v->gate = event;
		if (event == POLLIN)
			inside_begin(&v->reads, v, NULL);
	}
	section_leave();
	return v->gate;
}

/* The kernel's call is over ... */
static inline void visit_leave_gate(struct visit *v)
{
	short gate = v->gate;

	if (!gate)
		return;
	section_enter();
	v->gate = 0;
	if (gate == POLLIN)
		inside_end(&v->reads);
	if (gate == POLLIN && xvmc_ep_gate_exit(&v->ep->rx_gate))
		endpoint_reader_left(v->ep);
	if (gate == POLLOUT && xvmc_ep_gate_exit(&v->ep->tx_gate))
		xvmc_service_kick(v->ep);
	section_leave();
}

/* ... and all of the call is. */
static inline void visit_end(struct visit *v)
{
	visit_leave_gate(v);
	if (v->stays && atomic_fetch_sub(v->inside, 1) == 1 && !endpoint_inside(v->ep))
		endpoint_let_go(v->ep);
	v->stays = false;
}

/* A cleanup handler: the thread is cancelled in there, or jumps out. */
void visit_abandon(void *visit);

/* Whether a call waits is decided when it begins, whatever another thread does
 * to O_NONBLOCK meanwhile. Returns flags, with MSG_DONTWAIT or without. */
static inline int stream_decide(struct xvmc_endpoint *ep, int fd, int flags)
{
	settings_look(ep, fd);
	return atomic_load_explicit(&ep->nonblock, memory_order_relaxed) ?
		       flags | MSG_DONTWAIT : flags;
}

/* It has slept, found the connection moved, and would sleep again: did a
 * handler run meanwhile? restart: as SA_RESTART says. */
static inline bool stream_interrupted(const struct interrupt *in, int flags, bool restart)
{
	return in->slept && !(flags & MSG_DONTWAIT) && interrupt_came(in, restart);
}

/*
 * A blocking call that has slept before, or moved some bytes by another way, does
 * not leave the rest to the kernel's own blocking call, which goes by what it
 * has done itself when a handler ends it, and by O_NONBLOCK as it is now.
 */
static inline bool stream_goes_on(const struct interrupt *in, bool some, int flags)
{
	return (some || in->slept) && !(flags & MSG_DONTWAIT);
}

/* Then it works on a descriptor of its own: between two calls the program may
 * put something else under the number, which no sleeper is to notice. */
struct own_fd {
	int fd;
	bool made; /* else the program's, for want of descriptors */
};

/* False: something else is under the number already, errno says so. */
bool stream_own_fd(struct xvmc_endpoint *ep, int fd, struct own_fd *ret_own);
/* A cleanup handler: of a struct own_fd. */
void stream_own_close(void *own);

/* And it sleeps here. timeo_ns: SO_RCVTIMEO or SO_SNDTIMEO, 0 for ever. 1: look
 * again; 0 or less: errno says why not. */
int stream_sleep_plain(struct xvmc_endpoint *ep, int fd, short event, uint64_t timeo_ns,
		       const struct interrupt *in, bool some);

#endif
