/* SPDX-License-Identifier: MIT */
/*
 * What the wrappers share. A wrapper looks up its descriptor (one load where
 * there is nothing to know), calls lib/socket, and turns -errno into errno
 * and -1: only here is errno set. A call that succeeds leaves it alone.
 */
#ifndef XVMC_PRELOAD_H
#define XVMC_PRELOAD_H

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <unistd.h>

#include "bind.h"
#include "base/numbers.h"
#include "socket/socket.h"
#include "user.h"

#define EXPORT __attribute__((visibility("default")))
#define ALIAS_OF(name) __attribute__((alias(#name)))

/* The one context of this process; NULL: not yet, disabled, or set-uid. */
extern _Atomic(struct xvmc_ctx *) preload_ctx;

static inline struct xvmc_ctx *the_ctx(void)
{
	return atomic_load_explicit(&preload_ctx, memory_order_acquire);
}

/* Is there anything to know about fd? Nearly always not. */
static inline bool known(int fd)
{
	struct xvmc_ctx *ctx = the_ctx();

	return ctx && __builtin_expect(xvmc_fd_peek(ctx, fd) != NULL, 0);
}

/* The endpoint behind fd with a reference, or NULL. */
static inline struct xvmc_endpoint *endpoint(int fd)
{
	return known(fd) ? xvmc_ep_get(the_ctx(), fd) : NULL;
}

/*
 * The reference of a call that a signal handler has jumped out of is given back
 * by its thread's next call on any connection, close included.
 */
static inline void settle(void)
{
	struct xvmc_endpoint *ep = xvmc_section.owed;

	if (__builtin_expect(ep != NULL, 0)) {
		xvmc_section.owed = NULL;
		xvmc_ep_put(ep);
	}
}

static inline void endpoint_put(struct xvmc_endpoint **ep)
{
	if (!*ep)
		return;
	/* Cancelled, not jumped: this frame does it after all. */
	if (__builtin_expect(xvmc_section.owed == *ep, 0))
		xvmc_section.owed = NULL;
	xvmc_ep_put(*ep);
}

static inline struct xvmc_endpoint *endpoint_settled(int fd)
{
	settle();
	return endpoint(fd);
}

/* Declares ep, the endpoint behind fd or NULL, put back at the end: also by
 * pthread_cancel inside a sleeping call. */
#define ENDPOINT(ep, fd) \
	struct xvmc_endpoint *ep __attribute__((cleanup(endpoint_put))) = \
		endpoint_settled(fd)

static inline ssize_t give(ssize_t r, int saved)
{
	if (r < 0) {
		errno = (int)-r;
		return -1;
	}
	errno = saved;
	return r;
}

/* What a call says where its way was not to be had. */
#define NOT_THIS_WAY (-2)

/*
 * The short way of a call with one buffer and no flags to speak of, which is there
 * once for those that read and once for those that write: by the ring at once (now),
 * or else by what lib/socket makes of it.
 */
static inline __attribute__((always_inline)) ssize_t
short_way(int fd, const void *buf, size_t n, int flags,
	  size_t (*now)(struct xvmc_endpoint *ep, int fd, const struct iovec *vec),
	  ssize_t (*call)(struct xvmc_endpoint *ep, int fd, const struct iovec *vec,
			  size_t cnt, int flags))
{
	struct iovec vec = { (void *)(uintptr_t)buf, n };
	struct xvmc_ctx *ctx = the_ctx();
	struct xvmc_endpoint *at;
	ssize_t r;
	int saved;

	if (!ctx)
		return NOT_THIS_WAY;
	at = xvmc_ep_peek(ctx, fd); /* it may be another's from here on */
	if (__builtin_expect(!at, 1))
		return NOT_THIS_WAY;
	if ((flags & ~(MSG_NOSIGNAL | MSG_DONTWAIT)) || xvmc_section.owed || n > RW_MAX ||
	    !n || nowhere(buf, n) || !ctx->opt.enable)
		return NOT_THIS_WAY;
	pthread_testcancel();
	if (xvmc_ep_managed(at)) {
		r = (ssize_t)now(at, fd, &vec);
		if (r)
			return r;
	}
	struct xvmc_endpoint *ep __attribute__((cleanup(endpoint_put))) = xvmc_ep_hold(at, fd);

	if (!ep)
		return NOT_THIS_WAY;
	saved = errno;
	r = call(ep, fd, &vec, 1, flags);
	return give(r, saved);
}

/* False in a process made by a raw clone or vfork: the tables may be another
 * process's memory, and its descriptors are not. */
static inline bool tables_are_ours(struct xvmc_ctx *ctx)
{
	return ctx && ctx->pid == os_getpid();
}

/* Names libc exports and declares nowhere, or only under fortification. */
ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags,
		       struct sockaddr *sa, socklen_t *len);
int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t room);
int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *ts,
		const sigset_t *mask, size_t room);
int __dprintf_chk(int fd, int flag, const char *fmt, ...);
int __vdprintf_chk(int fd, int flag, const char *fmt, va_list ap);

/* To TCP for good, before something that no ring can do. True: errno is kept;
 * false: it is ECONNRESET, and the call that follows must not be made. */
bool preload_escape(struct xvmc_endpoint *ep, enum xvmc_reason why);
/* The same before a call that reads no bytes of the stream. */
bool preload_escape_here(struct xvmc_endpoint *ep, enum xvmc_reason why);
bool preload_escape_fd(int fd, enum xvmc_reason why);
/* To TCP for as long as it is at a number that stdio's FILEs (0, 1, 2) have
 * always had: they read and write inside libc. To be called before the number
 * exists, or before the program knows of it; and when it leads elsewhere. */
void preload_at_stdio(int fd, int number);
void preload_off_stdio(int number);

static inline bool of_stdio(int number)
{
	return number >= STDIN_FILENO && number <= STDERR_FILENO;
}

static inline void preload_escape_stdio(int fd, int number)
{
	if (of_stdio(number))
		preload_at_stdio(fd, number);
}

static inline void preload_left_stdio(int number)
{
	if (of_stdio(number))
		preload_off_stdio(number);
}

/*
 * A process that may make only the calls it has thought of makes those: all of
 * its connections are on TCP for good then. Counted nevertheless, for who is
 * alone with them after it. False: the ordinary way.
 */
static inline bool bare_begin(struct xvmc_endpoint *ep, _Atomic uint32_t *gate)
{
	return __builtin_expect(!ep->ctx->opt.enable, 0) && xvmc_ep_gate_enter(gate);
}

static inline ssize_t bare_end(_Atomic uint32_t *gate, _Atomic uint64_t *count, ssize_t r)
{
	if (r > 0 && count)
		atomic_fetch_add_explicit(count, (uint64_t)r, memory_order_relaxed);
	xvmc_ep_gate_exit(gate);
	return r;
}

#define BARE_SEND(ep, call) \
	if (bare_begin(ep, &(ep)->tx_gate)) \
		return bare_end(&(ep)->tx_gate, &(ep)->conn.tx.sent, call)
#define BARE_RECV(ep, flags, call) \
	if (bare_begin(ep, &(ep)->rx_gate)) \
		return bare_end(&(ep)->rx_gate, \
				(flags) & MSG_PEEK ? NULL : &(ep)->conn.rx.rcvd, call)

/* The caller is about to get a descriptor table of its own. True: it must not,
 * our thread is the only one it would part from, and would be lost. Else
 * nothing is followed any more: what a number means depends on who asks. */
bool preload_part_files(void);
/* The caller is about to be told by the kernel which calls it may make. */
void preload_confined(void);
/* wrappers-exec.c: this program has begun; without ctx it takes nothing up. */
void preload_executed(int argc, char **argv, struct xvmc_ctx *ctx);
/* signals.c: in a forked child. */
void preload_signals_fork_child(void);
/* The kernel gave out this number: whatever we knew of it is past (a close
 * that did not come through us). */
void preload_fresh(int fd);

/* A user of numbers (base/numbers.h) in a call that may be cancelled: in is what
 * preload_used, pushed before, gives back. */
static inline void preload_use(bool *in)
{
	section_enter(); /* no handler jumps away between the two */
	xvmc_numbers_use();
	*in = true;
	section_leave();
}

static inline void preload_used(void *in)
{
	if (*(bool *)in)
		xvmc_numbers_used();
}

static inline int preload_new(int fd)
{
	struct xvmc_ctx *ctx = the_ctx();

	if (known(fd))
		preload_fresh(fd);
	if (ctx)
		xvmc_fd_made(ctx, fd, 0);
	return fd;
}

#endif
