/* SPDX-License-Identifier: MIT */
/*
 * An application's descriptor always is the kernel's own TCP socket. The fd
 * table says what else we know of it: nothing (NULL, the usual case), an
 * endpoint (a TCP connection we follow), or an epoll set.
 *
 * An endpoint is PLAIN (every call goes straight to the kernel, only counted)
 * or MANAGED (a ring is attached, or a switch is under way: every call goes
 * through conn_t under its locks). The gates say which, and how many threads
 * are inside the kernel meanwhile.
 */
#ifndef XVMC_SOCKET_ENDPOINT_H
#define XVMC_SOCKET_ENDPOINT_H

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/list.h"
#include "conn/conn.h"
#include "hold.h"
#include "xvmc/agent.h"

struct xvmc_ctx;
struct hold_arena;

/* ---- what the fd table has (fdtab.h) ---- */

enum xvmc_obj_kind {
	XVMC_OBJ_ENDPOINT = 1,
	XVMC_OBJ_EPSET = 2,
};

/* Objects live in memory that is never given back, so that a reader who
 * loses a race with close() finds a valid, if foreign, object. */
struct xvmc_obj {
	enum xvmc_obj_kind kind;
	_Atomic uint32_t users; /* references: one per fd number, one per call */
	_Atomic bool live;      /* false: on a free list */
	struct xvmc_obj *free_next;
};

/* Brings an object (zeroed, or from a free list) to life with one reference.
 * users is added to, never stored: a reader that lost a race may hold one. */
static inline void xvmc_obj_init(struct xvmc_obj *obj, enum xvmc_obj_kind kind)
{
	obj->kind = kind;
	atomic_fetch_add_explicit(&obj->users, 1, memory_order_acq_rel);
	atomic_store_explicit(&obj->live, true, memory_order_release);
}

/* ---- endpoints ---- */

/* gate words: the top bit says MANAGED, the next one that we do not hold that
 * direction (hold.h) and ask before we use it; the rest counts threads in the
 * kernel. Who is MANAGED holds HOLD_RX. */
#define XVMC_GATE_MANAGED 0x80000000u
#define XVMC_GATE_LACKS 0x40000000u
#define XVMC_GATE_COUNT 0x3fffffffu

enum xvmc_ep_state {
	XVMC_EP_TRACKED = 0,    /* followed, not yet worth a ring */
	XVMC_EP_QUEUED = 1,     /* on the way to the service thread */
	XVMC_EP_REGISTERED = 2, /* xvmcd knows it */
	XVMC_EP_LINKED = 3,     /* matched: rings are being made or in use */
	XVMC_EP_PINNED = 4,     /* on TCP for good */
};

struct xvmc_epreg; /* one epoll registration; epoll.c */

/* How long those who wait for one thing spin first; spin.h. */
struct spinner {
	uint32_t budget; /* nanoseconds; 0: not at all */
	uint32_t skip;   /* waits until the whole budget is tried again */
	uint32_t rest;   /* how many they were the last time */
	uint32_t hits;   /* in a row */
};

/* Is the ring we send by too small? grow.c; under tx.lock. */
struct xvmc_ep_room {
	uint64_t limit;    /* it is never to have more bytes than that */
	uint64_t pos;      /* where it was found full the last time */
	uint64_t since_ns; /* the first of these laps in a row: */
	uint32_t laps;     /* it was full in each */
	uint32_t denied;   /* xvmcd had no pages, so often */
	bool stuck;        /* it was left because its reader did not read */
	_Atomic bool wanted; /* a larger one; the service thread sees to it */
};

struct xvmc_endpoint {
	struct xvmc_obj obj;
	struct xvmc_ctx *ctx;
	_Atomic int fd; /* one application number that leads here */
	uint32_t epid; /* this process's name for it, never used again */
	_Atomic uint32_t state;  /* enum xvmc_ep_state */
	_Atomic uint32_t reason; /* why it is where it is, in PLAIN */
	_Atomic uint32_t ops;    /* calls that moved bytes by plain TCP */
	/* so many calls, or bytes of a direction, until it is worth a ring */
	_Atomic uint32_t ops_wanted;
	_Atomic uint64_t bytes_wanted;
	_Atomic uint32_t nfds;   /* application numbers that lead here */
	bool active;             /* we connected; the peer accepted */
	/* Nobody xvmcd knows has the peer's address, but somebody who has may
	 * arrive: looked for when the board's number is no longer this one. */
	_Atomic bool absent;
	_Atomic uint32_t absent_seq;
	struct in6_addr absent_ip;
	_Atomic bool nonblock;   /* O_NONBLOCK */
	_Atomic bool forked;     /* a child may hold the socket as well */
	_Atomic bool fork_idle;  /* forked, and this process has not used it since */
	_Atomic bool owned;      /* claimed by us for rings; set under ctx->lock */
	_Atomic bool owns_tx;    /* both directions of it; likewise */
	bool born_held;          /* the child of this fork holds it; under ctx->lock */
	bool counted;            /* as one that has it open; under ctx->lock */
	bool orphan;             /* forked without a hold from one who owned it */
	_Atomic bool spoilt;     /* not to be owned by anybody any more */
	_Atomic uint64_t rcv_timeo_ns, snd_timeo_ns; /* 0: for ever; valid while
						      * MANAGED */
	_Atomic uint32_t settings; /* which of hold's these are */

	_Atomic uint32_t rx_gate, tx_gate;
	_Atomic uint32_t managed_times; /* so often they have been shut: what the
					 * kernel has said since may be of a record */
	_Atomic uint32_t rx_waiters, tx_waiters; /* threads asleep on the bells */
	_Atomic uint32_t bell_holds;             /* epoll registrations */
	_Atomic uint32_t dries;   /* reads that found less than they asked for */
	_Atomic uint32_t inside_rx, inside_tx; /* calls that may sleep, until they
						* return */
	_Atomic bool close_later; /* closed meanwhile: to these it stays open, as
				   * the kernel's file would */
	bool closed; /* while managed: the peer has been told; under both locks */
	_Atomic uint64_t linger_ns; /* whoever has closed it waits so long at most */
	_Atomic int held_fd; /* the same on plain TCP: our duplicate, or -1 */
	_Atomic int io_fd; /* our own duplicate of the socket while MANAGED, else
			    * -1 */
	_Atomic bool tx_full; /* a writer found the ring full; the service thread
			       * watches that its reader reads */
	/* Where self_ring is false the bells cannot be rung by ourselves:
	 * then sleepers also watch these eventfds. -1 otherwise. */
	int rx_poke_fd, tx_poke_fd;
	struct spinner spin_rx, spin_tx;
	struct xvmc_ep_room room;
	/* Where the stream was when we last span for bytes of it, and how often in
	 * a row it was one of small pieces; under rx.lock. */
	uint64_t spun_sent, spun_rcvd;
	uint32_t spun_small;

	struct conn_t conn;

	/* epoll sets that hold this endpoint; under ctx->epoll_lock */
	struct xvmc_list epregs;

	/* the service thread's own */
	struct xvmc_list svc_link, work_link, all_link;
	_Atomic bool queued;
	_Atomic bool attended; /* the service thread knows it, until it is closed */
	_Atomic uint32_t pin_wanted; /* enum xvmc_reason: go to TCP for good */
	_Atomic bool return_wanted; /* what had it pinned for a while may be over */
	_Atomic uint32_t stdio; /* bit n: it is, or is to be, at number n, where
				 * libc's stdio uses it unseen; set under ctx->lock */
	_Atomic bool bring; /* on the way to TCP for a call that does not read */
	_Atomic bool passed; /* a handler has read past a call in the kernel, which
			      * a byte by TCP has to wake (inside.h) */
	_Atomic bool recv_passed; /* that is a recv, and still inside */
	_Atomic uint32_t steer_wanted; /* 1 + enum xvmc_path: the program itself
					* promotes or demotes; drive() takes it */
	struct hold *_Atomic hold; /* since a fork: who may use it; or NULL */
	struct hold_arena *hold_arena; /* where that lies */
	_Atomic bool svc_wants_quiet; /* it waits for the last waiter to leave */
	struct xvmc_ep_svc {
		bool have_addrs;     /* local and remote, below */
		uint32_t pages_max;  /* of the largest ring that we take */
		/* known.c's: of all; of those with a due_ns; of those with rings */
		struct xvmc_endpoint *epid_next;
		struct xvmc_list due_link, ring_link;
		uint64_t due_ns;     /* next time it wants attention, 0: never */
		bool lingers;        /* closed by us, not yet by the kernel ... */
		uint64_t close_ns;   /* ... since then */
		uint64_t try_ns;     /* not announced again before */
		uint64_t backoff_ns;
		uint64_t full_ns, full_known; /* since when the ring is full, where */
		uint64_t stuck_ns;   /* so long is no surprise with this reader */
		bool away;           /* from a ring that was not read */
		uint64_t use_bytes, use_ns;   /* for the least recently used */
		uint32_t refused;    /* so often in a row there was no room for its
				      * rings */
		bool watch_tcp, watch_rx, watch_tx; /* in the service's epoll */
		bool asked;          /* we have offered, or were about to */
		bool want_ring;      /* tx belongs on the ring */
		bool leaving;        /* both directions to TCP, then detach */
		bool pin;            /* and never back */
		bool yield;          /* and not back while others hold it */
		uint32_t rests;      /* times the hold was given back then */
		bool rest_owed;      /* somebody had the lock just then */
		bool demoted;        /* until `xvmc promote` */
		bool closing;        /* the application has closed it */
		uint64_t leave_ns;   /* LEAVE was sent last, or 0 */
		uint64_t gone_ns;    /* since when the peer's guest is not here any
				      * more, while its pages are; or 0 */
		bool told_xvmcd;     /* it is registered there */
		/* The peer may be gone: xvmcd says so, or its half of TCP has
		 * ended. Since when; enum xvmc_reason if xvmcd said it. */
		uint64_t doubt_ns;
		uint32_t unlinked;
		/* A new link that came while the old one was being left: it
		 * waits, with what the peer offers meanwhile, or NULL; or there
		 * was no memory for that. */
		struct xvmc_ag_match held;
		struct xvmc_setup_offer *held_offer;
		bool held_lost;
		uint8_t order;       /* of our ring, once sized: grow.c */
		bool sized, grows;   /* grows: it is left to be made larger */
		bool no_more;        /* than usual: there were no pages */
		bool grow_asked;     /* xvmcd, for pages */
		uint32_t tcp_ev;     /* EPOLL* of the TCP socket since the last look */
		uint32_t reason;     /* of leaving */
		/* from here on not cleared for each connection: */
		struct sockaddr_storage local, remote;
	} svc;
};

static inline bool xvmc_ep_managed(struct xvmc_endpoint *ep)
{
	return (atomic_load_explicit(&ep->rx_gate, memory_order_acquire) &
		XVMC_GATE_MANAGED) != 0;
}

static inline unsigned int xvmc_ep_lacks(const struct xvmc_endpoint *ep)
{
	uint32_t rx = atomic_load_explicit(&ep->rx_gate, memory_order_acquire);
	uint32_t tx = atomic_load_explicit(&ep->tx_gate, memory_order_acquire);

	return (rx & XVMC_GATE_LACKS ? HOLD_RX : 0) | (tx & XVMC_GATE_LACKS ? HOLD_TX : 0);
}

/*
 * Enters the kernel on a PLAIN endpoint: true, and the caller must leave by
 * xvmc_ep_gate_exit; false: the endpoint is MANAGED, or we lack the direction.
 */
static inline bool xvmc_ep_gate_enter(_Atomic uint32_t *gate)
{
	uint32_t old = atomic_load_explicit(gate, memory_order_acquire);

	if (old & ~XVMC_GATE_COUNT)
		return false;
	old = atomic_fetch_add_explicit(gate, 1, memory_order_acquire);

	if (!(old & ~XVMC_GATE_COUNT))
		return true;
	atomic_fetch_sub_explicit(gate, 1, memory_order_release);
	return false;
}

/* Leaves; true where the endpoint has become MANAGED meanwhile. */
static inline bool xvmc_ep_gate_exit(_Atomic uint32_t *gate)
{
	return (atomic_fetch_sub_explicit(gate, 1, memory_order_acq_rel) &
		XVMC_GATE_MANAGED) != 0;
}

/*
 * Readiness of a MANAGED endpoint as poll() would say it: POLLIN, POLLOUT,
 * POLLRDHUP, POLLHUP, POLLERR (always all that are true). Takes the locks.
 * arm: where POLLIN (or POLLOUT) of the bits in arm is not true, arm the bell
 * for it before the last look, so that the caller may sleep on
 * xvmc_ep_rx_fd (xvmc_ep_tx_fd) afterwards without missing anything.
 * ret_rx_pos: bytes received or receivable so far, ret_tx_pos: bytes that
 * have left so far - both only ever grow; edge-triggered epoll compares them.
 */
short xvmc_ep_poll(struct xvmc_endpoint *ep, short arm, uint64_t *ret_rx_pos,
		   uint64_t *ret_tx_pos);

/* A glance without locks for spinning: could xvmc_ep_poll say something new? */
bool xvmc_ep_glance(struct xvmc_endpoint *ep, short events);

/* The same without locks, for one who holds the bells (so that the pages stay
 * mapped): false positives happen, false negatives only for a moment. */
bool xvmc_ep_glance_held(struct xvmc_endpoint *ep, short events);

/* Descriptors to sleep on for data and for room: at most two each (the bell,
 * and the poke fd where the bell cannot be rung by ourselves). Returns how
 * many. Valid only between xvmc_ep_wait_begin and _end, which keep the bells
 * open; begin returns false if the endpoint is not MANAGED any more. */
bool xvmc_ep_wait_begin(struct xvmc_endpoint *ep, short events);
int xvmc_ep_wait_fds(struct xvmc_endpoint *ep, short event, int ret_fds[2]);
void xvmc_ep_wait_end(struct xvmc_endpoint *ep, short events);
/* For epoll registrations instead of wait_begin and _end: keeps the bells
 * open without counting as a thread that sleeps. hold returns false if the
 * endpoint is not MANAGED. */
bool xvmc_ep_bell_hold(struct xvmc_endpoint *ep);
void xvmc_ep_bell_release(struct xvmc_endpoint *ep);
/* Empties the level-triggered bell before arming (poll and select only). */
void xvmc_ep_wait_clear(struct xvmc_endpoint *ep, short event);

#endif
