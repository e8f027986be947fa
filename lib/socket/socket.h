/* SPDX-License-Identifier: MIT */
/*
 * System Call Analyzer [S 1]: what stands behind the wrappers of preload/.
 * Everything hangs off a struct xvmc_ctx, so that two guests fit into one
 * test process. Functions return a result or -errno and never touch errno.
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

#include "base/options.h"
#include "base/os.h"
#include "base/rules.h"
#include "base/section.h"
#include "endpoint.h"
#include "vms/vms.h"

struct xvmc_service;
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

/* ---- calls from the wrappers; each says what it stands for ---- */

/* socket(2) was connected to sa (result 0 or -EINPROGRESS): begin to follow
 * it if it could become eligible. */
void xvmc_sock_connected(struct xvmc_ctx *ctx, int fd, const struct sockaddr *sa,
			 socklen_t len);
/* accept4 of listener, with these flags, returned fd for a connection from sa. */
void xvmc_sock_accepted(struct xvmc_ctx *ctx, int listener, int fd,
			const struct sockaddr *sa, socklen_t len, int flags);

/*
 * The short way of calls with one buffer and without flags: what the ring of a
 * MANAGED endpoint can do at once. 0: nothing was done, take the ordinary way.
 * Without a reference: what was found behind fd is looked at again under the
 * direction's lock.
 */
size_t xvmc_ep_send_now(struct xvmc_endpoint *ep, int fd, const struct iovec *vec);
size_t xvmc_ep_recv_now(struct xvmc_endpoint *ep, int fd, const struct iovec *vec);

/* recv, recvfrom, read, readv, recvmsg, whose msg_flags are none. */
ssize_t xvmc_sock_recv(struct xvmc_endpoint *ep, int fd, const struct iovec *vec,
		       size_t cnt, int flags);
/* At the end of a signal handler, whose third argument context is: the call that
 * it interrupted does not sleep on for what the handler has read by a ring. */
void xvmc_sock_resume(void *context);
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
/* The same, for who has a reference to the endpoint behind fd. */
bool xvmc_ep_close(struct xvmc_endpoint *ep, int fd);
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
/*
 * Nobody knows it but the fd table: neither the service thread, nor an epoll set,
 * nor another process, nor a thread that sleeps in a call. To forget it only has
 * it followed no longer, even from memory that is another process's.
 */
static inline bool xvmc_ep_alone(const struct xvmc_endpoint *ep)
{
	return atomic_load_explicit(&ep->state, memory_order_relaxed) == XVMC_EP_TRACKED &&
	       !ep->attended && !ep->hold && !ep->inside_rx && !ep->inside_tx &&
	       !xvmc_epoll_holds(ep);
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

/* Does who waits spin before it sleeps? */
enum xvmc_spins {
	XVMC_SPINS_FREELY, /* there is another processor, or the user wants it */
	XVMC_SPINS_NOT,    /* one, for us and our peer */
	XVMC_SPINS_YIELDING, /* one for us, and our peer, in another guest of Xen's,
			      * has its own: between looks who else wants ours has it */
};

struct xvmc_ctx {
	struct xvmc_libc libc;
	struct xvmc_options opt;
	struct xvmc_rules rules;
	struct xvmc_stats_page *stats; /* never NULL */
	int stats_memfd;               /* -1 until the service thread starts */
	_Atomic(struct vms *) vms;     /* VMs[] */
	uint64_t vms_retry_ns;
	_Atomic(struct xvmc_obj *) *fds;
	_Atomic uint8_t *made; /* XVMC_MADE_*, of each */
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
	struct exec_note *note; /* exec.c's, while an exec with one is under way; */
	int note_fd;		/* under lock */
	uint32_t arenas; /* that have descriptors (arena.h); under lock */
	bool fork_rests; /* at this fork a hold was given back; under lock */
	uint32_t execs; /* threads in an exec that may yet fail; under lock */
	_Atomic bool ended; /* exit has begun */
	_Atomic uint8_t spins; /* enum xvmc_spins */
};

int xvmc_ctx_init(struct xvmc_ctx *ctx, const struct xvmc_libc *libc);
void xvmc_ctx_deinit(struct xvmc_ctx *ctx);
void xvmc_ctx_fork_prepare(struct xvmc_ctx *ctx);
void xvmc_ctx_fork_parent(struct xvmc_ctx *ctx);
void xvmc_ctx_fork_child(struct xvmc_ctx *ctx);
/* At exit: pending bytes go out, bounded in time. */
void xvmc_ctx_exit(struct xvmc_ctx *ctx);

/* Hands an endpoint to the service thread (starting it if need be). */
void xvmc_service_kick(struct xvmc_endpoint *ep);

#include "fdtab.h" /* looks into the context */

#endif
