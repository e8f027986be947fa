/* SPDX-License-Identifier: MIT */
/*
 * What the files of lib/socket share and nobody else sees.
 */
#ifndef XVMC_SOCKET_INTERNAL_H
#define XVMC_SOCKET_INTERNAL_H

#include "base/numbers.h"
#include "socket.h"

/* fdtab.c */
int fdtab_init(struct xvmc_ctx *ctx);
void fdtab_deinit(struct xvmc_ctx *ctx);
void fdtab_set(struct xvmc_ctx *ctx, int fd, struct xvmc_obj *obj);

/* ctx.c */
/* Calls fn for every endpoint, with a reference and without ctx->lock. Other
 * threads still run. */
void endpoint_each(struct xvmc_ctx *ctx,
		   void (*fn)(struct xvmc_endpoint *ep, void *arg), void *arg);

/* endpoint.c */
/* All of it but the number it has: as if it had just been made. */
void endpoint_restart(struct xvmc_endpoint *ep);
void endpoint_free(struct xvmc_ctx *ctx, struct xvmc_endpoint *ep);
/* A connection that was there before us, at this number: followed from now on,
 * with a reference, as if just made; or NULL. */
struct xvmc_endpoint *endpoint_found(struct xvmc_ctx *ctx, int fd, bool active);
/* A UDP socket can be connected, too, and SCTP and MPTCP have streams. */
bool endpoint_is_tcp(int fd);
/* The peer is a guest that xvmcd knows, or has become one. */
bool endpoint_here(struct xvmc_endpoint *ep);
/* PLAIN -> MANAGED: both channels exist. Service thread. */
int endpoint_manage(struct xvmc_endpoint *ep);
/* MANAGED -> PLAIN: both directions are idle, both locks and epoll's held. First
 * that nobody sleeps on the bells, nor will: calls go to the kernel from here
 * on. False: somebody does, and was woken; try again when svc_wants_quiet brings
 * the service thread back. Then detaches them and closes our duplicate. */
bool endpoint_quiet(struct xvmc_endpoint *ep);
void endpoint_unmanage(struct xvmc_endpoint *ep);
/* The last who was inside the kernel since before the connection was managed
 * has left: the service thread and other readers waited for that. */
void endpoint_reader_left(struct xvmc_endpoint *ep);
/* Wakes the threads that sleep for data, or for room. */
void endpoint_poke_rx(struct xvmc_endpoint *ep);
void endpoint_poke_tx(struct xvmc_endpoint *ep);
/* rx.lock held, bytes taken, and others asleep: one may have armed for these, or
 * we may have taken the ring for what is left, or the end. */
void endpoint_rx_taken(struct xvmc_endpoint *ep);
/* Passes what a conn_t call reported on to whom it concerns; call it after
 * the locks are released. */
void endpoint_events(struct xvmc_endpoint *ep);
/* The last thread inside has left a connection that was closed meanwhile? */
void endpoint_close_late(struct xvmc_endpoint *ep);
/* Nobody goes on any more with what was closed under its number. */
void endpoint_let_go(struct xvmc_endpoint *ep);
/* rx.lock held: follows the peer's announcement, as xvmc_conn_rx_ack. */
int endpoint_ack(struct xvmc_endpoint *ep);
/* rx.lock held, MANAGED: nothing comes after what is there. */
bool endpoint_rx_ended(struct xvmc_endpoint *ep);
/* This process uses what it may have shared with a child since the fork. */
static inline void endpoint_used(struct xvmc_endpoint *ep)
{
	if (atomic_load_explicit(&ep->fork_idle, memory_order_relaxed))
		atomic_store_explicit(&ep->fork_idle, false, memory_order_relaxed);
}
static inline bool endpoint_inside(const struct xvmc_endpoint *ep)
{
	return ep->inside_rx || ep->inside_tx;
}
/* Both locks held: has the program bytes that it has not read? */
bool endpoint_left_unread(struct xvmc_endpoint *ep);
/* Has the kernel's close send a reset, as it does by itself for whom bytes are
 * left unread. */
void endpoint_reset_on_close(struct xvmc_endpoint *ep);

/* tcp.c */
/* Not a byte more goes into TCP just now. */
bool endpoint_tcp_full(const struct xvmc_endpoint *ep);
/* The end of our half is out, and the peer's kernel has not said that it has it:
 * then it may not have the bytes before it either. */
bool endpoint_end_unacked(const struct xvmc_endpoint *ep);
/* What lib/conn does with the socket of an endpoint, its argument. */
extern const struct xvmc_tcp_ops endpoint_tcp_ops;

/* settings.c */
/* Of a new connection: whether its calls wait, by SOCK_NONBLOCK in flags, or -1 to
 * ask. How long they do is the kernel's business until it is managed. */
void settings_begin(struct xvmc_endpoint *ep, int fd, int flags);
/* Of one that is to be managed: all of them, as they are now. */
void settings_note(struct xvmc_endpoint *ep, int fd);
/* The same, where another process has changed them since. */
void settings_again(struct xvmc_endpoint *ep, int fd);
static inline void settings_look(struct xvmc_endpoint *ep, int fd)
{
	const struct hold *h = atomic_load_explicit(&ep->hold, memory_order_acquire);

	if (h && atomic_load_explicit(&h->settings, memory_order_acquire) != ep->settings)
		settings_again(ep, fd);
}

/* stream-wait.c */
/* It is, unless something speaks against it. */
void stream_worth_it(struct xvmc_endpoint *ep);
/* Counts an operation on a PLAIN endpoint until it is worth a ring. bytes: of that
 * direction so far. */
static inline void stream_moved(struct xvmc_endpoint *ep, uint64_t bytes)
{
	uint32_t ops = atomic_load_explicit(&ep->ops, memory_order_relaxed) + 1;

	/* Lost counts are no harm. */
	atomic_store_explicit(&ep->ops, ops, memory_order_relaxed);
	if (atomic_load_explicit(&ep->state, memory_order_relaxed) != XVMC_EP_TRACKED)
		return;
	if ((int32_t)(ops - atomic_load_explicit(&ep->ops_wanted, memory_order_relaxed)) >= 0 ||
	    bytes >= atomic_load_explicit(&ep->bytes_wanted, memory_order_relaxed))
		stream_worth_it(ep);
}

/* escape.c: the way to TCP for good, step by step. */
/* Asks the service thread for it; returns the state it is in: XVMC_EP_PINNED
 * in the end. */
uint32_t escape_begin(struct xvmc_endpoint *ep, enum xvmc_reason why);
/* Waits until that is no longer the state, or a while. */
void escape_wait(struct xvmc_endpoint *ep, uint32_t state, uint64_t ns);
/* Pinned by an exec or stdio only, which is over: it is TRACKED again. */
bool endpoint_return(struct xvmc_endpoint *ep);
/* After so long the connection is reset. */
uint64_t escape_ns(const struct xvmc_endpoint *ep);

/* linger.c: SO_LINGER, of a MANAGED endpoint. Both locks held. */
#define LINGER_NONE UINT64_MAX
/* LINGER_NONE: it is off; 0: the program wants a reset. */
uint64_t linger_ns(const struct xvmc_endpoint *ep);
/* The program closes it, and the service thread keeps our duplicate. */
void linger_begin(struct xvmc_endpoint *ep, uint64_t ns);

/* exec.c; ctx->lock held. */
/* Another process may use a connection from now on: the note that says otherwise
 * is not to be believed. */
void exec_note_stale(struct xvmc_ctx *ctx);
/* In a forked child: the exec is another process's. */
void exec_note_forget(struct xvmc_ctx *ctx);

/* fork.c */
/* Of a freed endpoint: the hold goes back, and the memory where its word is. */
void fork_end(struct xvmc_endpoint *ep);

/* fork-use.c */
/* Before rings are made: false if another process may read the socket. */
bool fork_claim(struct xvmc_endpoint *ep);
/* tx.lock held, rings: nobody else writes? Then our own way out may use its ring
 * from now on. */
bool fork_owns_tx(struct xvmc_endpoint *ep);
/* The rings are gone. */
void fork_release(struct xvmc_endpoint *ep);
/* Worth a try: fork_claim would succeed, as things are; and fork_owns_tx make a
 * difference. */
bool fork_alone(struct xvmc_endpoint *ep);
bool fork_alone_tx(struct xvmc_endpoint *ep);
/* We own it, and somebody else wants to use it. */
bool fork_wanted(struct xvmc_endpoint *ep);
/* Another process may have it open. */
bool fork_shared(struct xvmc_endpoint *ep);
/* Somebody who will not ask may have the socket. */
void fork_spoil(struct xvmc_endpoint *ep);
/* It is closed here, or the process ends: others may have the connection to
 * themselves. */
void fork_let_go(struct xvmc_endpoint *ep);
/* What this process has moved since it took its hold; and what others did. */
void fork_sums(const struct conn_t *c, struct hold_sums *ret_sums);
void fork_add_sums(struct conn_t *c, const struct hold_sums *sums);
/* epoll_lock held: gives the hold of each direction back that nobody here is using
 * or waiting for, and says which. The next use takes it again. -EBUSY: somebody has
 * the lock, and may be using it. */
int fork_rest(struct xvmc_endpoint *ep);
/* Gives the hold of these back: nobody here may be using them. And has it open no
 * more. */
void fork_give(struct xvmc_endpoint *ep, unsigned int dirs);
void fork_closed(struct xvmc_endpoint *ep);
/* Nobody knows when it is closed: it counts as open here for ever. */
void fork_uncounted(struct xvmc_endpoint *ep);

/* stats-page.c */
/* Puts the counters where others can read them, once. */
void stats_share(struct xvmc_ctx *ctx);
/* A child counts from nothing. */
void stats_fork_child(struct xvmc_ctx *ctx);

/* grow.c */
/* tx.lock held: a writer has found its ring full. sleeps: it waits for room in the
 * kernel, or comes back later. True: it is too small; to be kicked. */
bool grow_full(struct xvmc_endpoint *ep, bool sleeps);

/* service.c */
void service_stop(struct xvmc_ctx *ctx);
void service_forget(struct xvmc_ctx *ctx); /* in a forked child */
/* The thread, if there is one, wakes by this bell (arena.h), or no more. Nothing
 * happens if fd is -1. */
void service_hear(struct xvmc_ctx *ctx, int fd, bool on);

#endif
