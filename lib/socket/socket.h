/* SPDX-License-Identifier: MIT */
/*
 * System Call Analyzer [S 1]: what stands behind the wrappers of preload/.
 * Everything hangs off a struct xvmc_ctx, so that two guests fit into one
 * test process. Functions return a result or -errno and never touch errno.
 *
 * An application's descriptor always is the kernel's own TCP socket. The fd
 * table says what else we know of it: nothing (NULL, the usual case), an
 * endpoint (a TCP connection we follow), or an epoll set.
 *
 * An endpoint is PLAIN (every call goes straight to the kernel, only counted)
 * or MANAGED (a ring is attached, or a switch is under way: every call goes
 * through conn_t under its locks). The gates say which, and how many threads
 * are inside the kernel meanwhile.
 *
 * Threads:   any, unless said otherwise.
 * fork:      xvmc_ctx_fork_* around it; a child may use everything, and what
 *            it uses alone can have rings again (hold.h).
 * Signals:   a handler may call the wrappers: it runs when its thread holds no
 *            lock of ours (base/section.h).
 */
#ifndef XVMC_SOCKET_H
#define XVMC_SOCKET_H

#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>

#include "base/list.h"
#include "base/options.h"
#include "base/os.h"
#include "base/rules.h"
#include "base/section.h"
#include "conn/conn.h"
#include "hold.h"
#include "vms/vms.h"
#include "xvmc/agent.h"

struct xvmc_ctx;
struct xvmc_service;
struct xvmc_epset;
struct hold_arena;
struct exec_note;

/*
 * libc's own functions, for calls that must be cancellation points or must
 * behave exactly as libc's do. preload/ binds them; tests use plain libc.
 */
struct xvmc_libc {
	ssize_t (*read)(int, void *, size_t);
	ssize_t (*recvmsg)(int, struct msghdr *, int);
	ssize_t (*sendmsg)(int, const struct msghdr *, int);
	ssize_t (*recv)(int, void *, size_t, int);
	ssize_t (*send)(int, const void *, size_t, int);
	int (*ppoll)(struct pollfd *, nfds_t, const struct timespec *,
		     const sigset_t *);
	int (*epoll_pwait)(int, struct epoll_event *, int, int,
			   const sigset_t *);
};

/* ---- the fd table ---- */

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

/* The object behind fd with a reference taken, or NULL. Wait-free. */
struct xvmc_obj *xvmc_fd_get(struct xvmc_ctx *ctx, int fd);
void xvmc_obj_put(struct xvmc_ctx *ctx, struct xvmc_obj *obj);

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
	_Atomic uint32_t steer_wanted; /* 1 + enum xvmc_path: the program itself
					* promotes or demotes; drive() takes it */
	struct hold *_Atomic hold; /* since a fork: who may use it; or NULL */
	struct hold_arena *hold_arena; /* where that lies */
	_Atomic bool svc_wants_quiet; /* it waits for the last waiter to leave */
	struct xvmc_ep_svc {
		struct sockaddr_storage local, remote;
		bool have_addrs;
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
		bool asked;          /* we have sent ASK */
		bool want_ring;      /* tx belongs on the ring */
		bool leaving;        /* both directions to TCP, then detach */
		bool pin;            /* and never back */
		bool yield;          /* and not back while others hold it */
		uint32_t rests;      /* times the hold was given back then */
		bool demoted;        /* until `xvmc promote` */
		bool closing;        /* the application has closed it */
		uint64_t leave_ns;   /* LEAVE was sent last, or 0 */
		bool told_xvmcd;     /* it is registered there */
		/* The peer may be gone: xvmcd says so, or its half of TCP has
		 * ended. Since when; enum xvmc_reason if xvmcd said it. */
		uint64_t doubt_ns;
		uint32_t unlinked;
		/* A new link that came while the old one was being left: it
		 * waits, with the one message the peer can send by itself. */
		struct xvmc_ag_match held;
		struct xvmc_setup_ask held_ask;
		struct xvmc_setup_offer *offer; /* ours, until the peer asks; or NULL */
		uint32_t tcp_ev;     /* EPOLL* of the TCP socket since the last look */
		uint32_t reason;     /* of leaving */
	} svc;
};

/* The endpoint behind fd with a reference, or NULL. */
static inline struct xvmc_endpoint *xvmc_ep_get(struct xvmc_ctx *ctx, int fd)
{
	struct xvmc_obj *obj = xvmc_fd_get(ctx, fd);

	if (!obj)
		return NULL;
	if (obj->kind != XVMC_OBJ_ENDPOINT) {
		xvmc_obj_put(ctx, obj);
		return NULL;
	}
	return (struct xvmc_endpoint *)obj;
}

static inline void xvmc_ep_put(struct xvmc_endpoint *ep)
{
	xvmc_obj_put(ep->ctx, &ep->obj);
}

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

/* ---- calls from the wrappers; each says what it stands for ---- */

/* socket(2) was connected to sa (result 0 or -EINPROGRESS): begin to follow
 * it if it could become eligible. */
void xvmc_sock_connected(struct xvmc_ctx *ctx, int fd, const struct sockaddr *sa,
			 socklen_t len);
/* accept4 with these flags returned fd for a connection from sa. */
void xvmc_sock_accepted(struct xvmc_ctx *ctx, int fd, const struct sockaddr *sa,
			socklen_t len, int flags);

/*
 * The short way of send, write, recv and read without flags: what a ring can do at
 * once. 0: nothing was done, take the ordinary way. Without a reference: what
 * was found behind fd is looked at again under the direction's lock.
 */
size_t xvmc_sock_send_now(struct xvmc_ctx *ctx, int fd, const void *buf, size_t n);
size_t xvmc_sock_recv_now(struct xvmc_ctx *ctx, int fd, void *buf, size_t n);

/* recv, recvfrom, read, readv, recvmsg; msg_flags out as recvmsg's. */
ssize_t xvmc_sock_recv(struct xvmc_endpoint *ep, int fd, const struct iovec *vec,
		       size_t cnt, int flags, int *ret_msg_flags);
/* send, sendto, write, writev, sendmsg. SIGPIPE is raised here unless flags
 * have MSG_NOSIGNAL. */
ssize_t xvmc_sock_send(struct xvmc_endpoint *ep, int fd, const struct iovec *vec,
		       size_t cnt, int flags);
ssize_t xvmc_sock_sendfile(struct xvmc_endpoint *ep, int out_fd, int in_fd,
			   off_t *off, size_t count);
/* splice of n bytes, not 0, into a pipe. What comes back is its result, unless
 * *ret_kernels: then 0, and it is the kernel's to make. wait: for room. */
ssize_t xvmc_sock_splice(struct xvmc_endpoint *ep, int in_fd, int out_fd, size_t n,
			 bool wait, bool *ret_kernels);
/* SO_ERROR, where the kernel says known, an errno or 0: it may have told us
 * alone. Once. */
int xvmc_sock_error(struct xvmc_endpoint *ep, int known);
/* Before a call that the kernel is to make itself, after the escape: an error that
 * it has told us, and does not tell again, or 0. Once. reads: bytes that lie in
 * the kernel come first. */
int xvmc_sock_untold(struct xvmc_endpoint *ep, int fd, bool reads);
/* A call that has moved some bytes met this -errno: it is for the next one. */
void xvmc_sock_untell(struct xvmc_endpoint *ep, int err);
int xvmc_sock_shutdown(struct xvmc_endpoint *ep, int fd, int how);
/* FIONREAD and SIOCOUTQ; -ENOTTY: not ours, ask the kernel. */
int xvmc_sock_ioctl(struct xvmc_endpoint *ep, unsigned long req, void *arg);
/* O_NONBLOCK was changed by fcntl or ioctl; timeouts by setsockopt. */
void xvmc_sock_set_nonblock(struct xvmc_endpoint *ep, bool on);
void xvmc_sock_sockopt_changed(struct xvmc_endpoint *ep, int fd, int level, int name);

/* close(fd): forgets the number; the last number of an endpoint ends it (switch
 * to TCP, if anything is undelivered). False: the caller closes it now; true:
 * it is closed. */
bool xvmc_sock_close(struct xvmc_ctx *ctx, int fd);
/* After that, and when the number is closed: what SO_LINGER has close wait for. */
void xvmc_sock_linger(struct xvmc_endpoint *ep);
/* As close where the number is closed by other means, or was already. */
void xvmc_sock_forget(struct xvmc_ctx *ctx, int fd);
/* Its connection was dissolved, by connect to AF_UNSPEC, and is on TCP for good:
 * it is a socket like any other, unless an epoll set holds it. */
void xvmc_sock_dissolved(struct xvmc_ctx *ctx, int fd);
/* newfd now is a dup of oldfd (after the kernel's success). */
void xvmc_sock_dup(struct xvmc_ctx *ctx, int oldfd, int newfd);
/* True for a descriptor of our own: the application cannot mean it. */
bool xvmc_fd_internal(struct xvmc_ctx *ctx, int fd);

/*
 * What comes next bypasses us: move both directions to TCP, completely, and
 * never go back. Waits for the peer's half, bounded; returns 0, or -ETIMEDOUT
 * with the connection reset where it did not answer.
 */
int xvmc_sock_escape(struct xvmc_endpoint *ep, enum xvmc_reason why);
/* The same, for a call that does not read: what the program has not read yet
 * may be with us, and is read through us. */
int xvmc_sock_escape_here(struct xvmc_endpoint *ep, enum xvmc_reason why);
/* After that: are there such bytes? */
bool xvmc_sock_early(struct xvmc_endpoint *ep);
/* The first use of directions that this process does not hold (xvmc_ep_lacks): has
 * their owner leave its rings if there is one. Then they are PLAIN here.
 * 0 or -ECONNRESET. */
int xvmc_sock_hold(struct xvmc_endpoint *ep, unsigned int dirs);
/* The same before a call that uses these; where they are held it costs a load. */
static inline int xvmc_sock_use(struct xvmc_endpoint *ep, unsigned int dirs)
{
	return xvmc_ep_lacks(ep) & dirs ? xvmc_sock_hold(ep, dirs) : 0;
}
/* It is to be at this number, which stdio has: on TCP while it is there. As
 * xvmc_sock_escape. */
int xvmc_sock_stdio(struct xvmc_endpoint *ep, int number);
/* The kernel has something else at this number now, or nothing. */
void xvmc_sock_left_stdio(struct xvmc_ctx *ctx, int number);
/* A new process is to be another program: xvmc_sock_escape for every endpoint
 * whose descriptor it gets. */
void xvmc_sock_spawn(struct xvmc_ctx *ctx);
/* This one is: for every endpoint that is ours or crosses the exec, since no
 * record may be on its way to what it closes; until exec has failed. True: some
 * do cross it. */
bool xvmc_sock_exec(struct xvmc_ctx *ctx);
void xvmc_sock_exec_failed(struct xvmc_ctx *ctx);

/* ---- waiting: poll.c, select.c, epoll*.c ---- */

int xvmc_poll(struct xvmc_ctx *ctx, struct pollfd *fds, nfds_t n,
	      const struct timespec *timeout, const sigset_t *sigmask);
int xvmc_select(struct xvmc_ctx *ctx, int n, fd_set *rd, fd_set *wr, fd_set *ex,
		struct timespec *timeout, const sigset_t *sigmask);

void xvmc_epoll_created(struct xvmc_ctx *ctx, int epfd);
int xvmc_epoll_ctl(struct xvmc_ctx *ctx, int epfd, int op, int fd,
		   struct epoll_event *ev);
int xvmc_epoll_pwait(struct xvmc_ctx *ctx, int epfd, struct epoll_event *evs,
		     int max, const struct timespec *timeout,
		     const sigset_t *sigmask);
/* The endpoint became MANAGED, or its readiness may have changed: every set
 * that holds it hears so. Service thread and others; takes ctx->epoll_lock and
 * no endpoint lock. managed: -EMFILE, -ENOMEM: a set has no way to wait for a
 * ring; all are as before, and the endpoint must go back to PLAIN. */
int xvmc_epoll_ep_managed(struct xvmc_endpoint *ep);
void xvmc_epoll_ep_changed(struct xvmc_endpoint *ep);
/* A non-blocking send found no room (-EAGAIN): who waits for EPOLLOUT
 * edge-triggered, perhaps asleep already, shall hear when there is. */
void xvmc_epoll_ep_blocked(struct xvmc_endpoint *ep);
/* Does a set hold it? Without a lock: as of a moment ago. */
static inline bool xvmc_epoll_holds(const struct xvmc_endpoint *ep)
{
	return __atomic_load_n(&ep->epregs.next, __ATOMIC_RELAXED) != &ep->epregs;
}
/* A sleeper has read, and so emptied, a bell: an epoll set may have lost its
 * edge by that. Costs a load where no set holds the endpoint. */
static inline void xvmc_epoll_bell_taken(struct xvmc_endpoint *ep)
{
	if (xvmc_epoll_holds(ep))
		xvmc_epoll_ep_changed(ep);
}
/* MANAGED -> PLAIN, in one step with the endpoint: epoll's locks, which come
 * first, then the endpoint's, then plain(), and then all back. */
void xvmc_epoll_ep_lock(struct xvmc_endpoint *ep);
void xvmc_epoll_ep_plain(struct xvmc_endpoint *ep);
void xvmc_epoll_ep_unlock(struct xvmc_endpoint *ep);
/* A number of the endpoint is about to be closed. */
void xvmc_epoll_fd_closed(struct xvmc_ctx *ctx, struct xvmc_endpoint *ep, int fd);
/* The last number of the set was closed: called by the fd table. */
void xvmc_epset_free(struct xvmc_ctx *ctx, struct xvmc_obj *obj);
/* Around fork, from xvmc_ctx_fork_*, with epoll_lock held: prepare takes every
 * set's lock, parent and child release them; child after the endpoints were
 * disowned. */
void xvmc_epoll_fork_prepare(struct xvmc_ctx *ctx);
void xvmc_epoll_fork_parent(struct xvmc_ctx *ctx);
void xvmc_epoll_fork_child(struct xvmc_ctx *ctx);
/* From xvmc_ctx_deinit. */
void xvmc_epoll_deinit(struct xvmc_ctx *ctx);

/* True if any of the descriptors is one we know: else the kernel's own call
 * will do. */
bool xvmc_poll_concerns(struct xvmc_ctx *ctx, const struct pollfd *fds, nfds_t n);
bool xvmc_select_concerns(struct xvmc_ctx *ctx, int n, const fd_set *rd,
			  const fd_set *wr, const fd_set *ex);

/* ---- the context ---- */

struct xvmc_ctx {
	struct xvmc_libc libc;
	struct xvmc_options opt;
	struct xvmc_rules rules;
	struct xvmc_stats_page *stats; /* never NULL */
	int stats_memfd;               /* -1 until the service thread starts */
	_Atomic(struct vms *) vms;     /* VMs[] */
	uint64_t vms_retry_ns;
	_Atomic(struct xvmc_obj *) *fds;
	size_t nfds;
	pthread_mutex_t lock; /* the tables below; taken last, held briefly */
	struct xvmc_obj *free_eps, *free_sets;
	struct xvmc_list eps; /* all endpoints, by all_link */
	uint32_t next_epid;
	pthread_mutex_t epoll_lock;
	struct xvmc_epolls *epolls; /* epoll.c's own; under epoll_lock */
	_Atomic(struct xvmc_service *) service; /* NULL until the first worthy endpoint */
	pthread_mutex_t service_lock;
	pid_t pid;
	int ncpu;
	struct exec_note *note; /* exec.c's, while an exec with one is under way; */
	int note_fd;		/* under lock */
	uint32_t arenas; /* that have descriptors (arena.h); under lock */
	bool fork_rests; /* at this fork a hold was given back; under lock */
	uint32_t execs; /* threads in an exec that may yet fail; under lock */
	_Atomic bool ended; /* exit has begun, or this is a child without a service */
};

/* What is behind fd, without a reference: only for "is there anything at all".
 * Pairs with fdtab_set. */
static inline struct xvmc_obj *xvmc_fd_peek(const struct xvmc_ctx *ctx, int fd)
{
	if ((unsigned int)fd >= ctx->nfds)
		return NULL;
	return atomic_load_explicit(&ctx->fds[fd], memory_order_acquire);
}

int xvmc_ctx_init(struct xvmc_ctx *ctx, const struct xvmc_libc *libc);
void xvmc_ctx_deinit(struct xvmc_ctx *ctx);
void xvmc_ctx_fork_prepare(struct xvmc_ctx *ctx);
void xvmc_ctx_fork_parent(struct xvmc_ctx *ctx);
void xvmc_ctx_fork_child(struct xvmc_ctx *ctx);
/* At exit: pending bytes go out, bounded in time. */
void xvmc_ctx_exit(struct xvmc_ctx *ctx);

/* Hands an endpoint to the service thread (starting it if need be). */
void xvmc_service_kick(struct xvmc_endpoint *ep);

#endif
