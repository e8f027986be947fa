/* SPDX-License-Identifier: MIT */
/*
 * Wrappers: connections and descriptors come and go.
 *
 * Descriptors of the library's own have high numbers. To the program they do
 * not exist: close() and dup2() of one is EBADF, and so is dup2() onto one,
 * as if the number were out of range - they are stored by number all over the
 * library, so they do not move out of the way. close_range() goes round them.
 * While one is being made it has a low number (base/numbers.h).
 */
#include <linux/close_range.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/ioctl.h>

#include "base/numbers.h"
#include "base/unwind.h"
#include "preload.h"

static uint8_t made(int domain, int type, int protocol)
{
	if ((domain != AF_INET && domain != AF_INET6) ||
	    (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) != SOCK_STREAM ||
	    (protocol && protocol != IPPROTO_TCP))
		return 0;
	return XVMC_MADE_TCP | (type & SOCK_NONBLOCK ? XVMC_MADE_NONBLOCK : 0);
}

EXPORT int socket(int domain, int type, int protocol)
{
	int fd;

	xvmc_numbers_use();
	fd = REAL(socket)(domain, type, protocol);
	xvmc_numbers_used();
	preload_new(fd);
	if (the_ctx())
		xvmc_fd_made(the_ctx(), fd, made(domain, type, protocol));
	return fd;
}

/* Dissolving the association makes it a new socket. */
static int disconnect(int fd, const struct sockaddr *sa, socklen_t len)
{
	int r;

	preload_escape_fd(fd, XVMC_R_UNFOLLOWED);
	r = REAL(connect)(fd, sa, len);
	if (r == 0)
		xvmc_sock_dissolved(the_ctx(), fd);
	return r;
}

EXPORT int connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	struct xvmc_ctx *ctx = the_ctx();
	int saved = errno, r, err;

	if (!ctx || !sa || len < sizeof(sa->sa_family))
		return REAL(connect)(fd, sa, len);
	if (known(fd))
		return !nowhere(sa, len) && sa->sa_family == AF_UNSPEC ?
			       disconnect(fd, sa, len) : REAL(connect)(fd, sa, len);
	r = REAL(connect)(fd, sa, len);
	err = errno;
	/* Interrupted, it goes on by itself. What the kernel has read we can
	 * read as well. */
	if ((r == 0 || err == EINPROGRESS || err == EINTR) &&
	    (sa->sa_family == AF_INET || sa->sa_family == AF_INET6)) {
		xvmc_sock_connected(ctx, fd, sa, len);
		preload_escape_stdio(fd, fd);
	}
	errno = r == 0 ? saved : err;
	return r;
}

/*
 * accept: we need the address whole. Where the program gives room for it, it
 * may be too short or lead nowhere: that is the kernel's to see, for it drops
 * the connection then, and we ask for the address again.
 */
static int accept_any(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	struct xvmc_ctx *ctx = the_ctx();
	struct sockaddr_storage addr;
	socklen_t room = sizeof(addr);
	uint32_t before = xvmc_numbers_before();
	int saved = errno, r;

	if (!sa) {
		sa = (struct sockaddr *)&addr;
		len = &room;
	}
	r = flags ? REAL(accept4)(fd, sa, len, flags) : REAL(accept)(fd, sa, len);
	if (r < 0)
		return r;
	r = xvmc_numbers_after(r, before);
	preload_new(r);
	if (sa != (struct sockaddr *)&addr &&
	    os_getpeername(r, (struct sockaddr *)&addr, &room) < 0)
		return r;
	if (addr.ss_family == AF_INET || addr.ss_family == AF_INET6) {
		xvmc_sock_accepted(ctx, fd, r, (struct sockaddr *)&addr, room, flags);
		preload_escape_stdio(r, r);
	}
	errno = saved;
	return r;
}

EXPORT int accept(int fd, struct sockaddr *sa, socklen_t *len)
{
	return the_ctx() ? accept_any(fd, sa, len, 0) : REAL(accept)(fd, sa, len);
}

EXPORT int accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
	return the_ctx() ? accept_any(fd, sa, len, flags) :
			   REAL(accept4)(fd, sa, len, flags);
}

EXPORT int shutdown(int fd, int how)
{
	ENDPOINT(ep, fd);
	int saved = errno;

	if (!ep || how < SHUT_RD || how > SHUT_RDWR)
		return REAL(shutdown)(fd, how);
	return (int)give(xvmc_sock_shutdown(ep, fd, how), saved);
}

/* ---- close ---- */

static bool internal(int fd)
{
	struct xvmc_ctx *ctx = the_ctx();

	return ctx && xvmc_fd_internal(ctx, fd);
}

/* The kernel's close, of nothing of ours. It may wait, and be cancelled. */
static int really_close(int fd)
{
	bool in = false;
	struct unwind u;
	int r;

	unwind_push(&u, preload_used, &in);
	preload_use(&in);
	r = internal(fd) ? (int)give(-EBADF, 0) : REAL(close)(fd);
	unwind_pop(&u, 1);
	return r;
}

static int close_known(struct xvmc_endpoint *ep, int fd)
{
	int saved = errno, r = 0;
	bool done;

	/* What libc's would do then, before anything is forgotten. */
	pthread_testcancel();
	done = ep ? xvmc_ep_close(ep, fd) : xvmc_sock_close(the_ctx(), fd);
	errno = saved;
	if (!done)
		r = really_close(fd);
	preload_left_stdio(fd);
	if (ep)
		xvmc_sock_linger(ep);
	return r;
}

EXPORT int close(int fd)
{
	struct xvmc_ctx *ctx = the_ctx();
	int saved = errno;

	if (!ctx)
		return REAL(close)(fd);
	settle();
	if (internal(fd))
		return (int)give(-EBADF, saved);
	xvmc_fd_made(ctx, fd, 0);
	if (known(fd)) {
		ENDPOINT(ep, fd);

		if ((ep && xvmc_ep_alone(ep)) || tables_are_ours(ctx))
			return close_known(ep, fd);
	}
	return really_close(fd);
}

/* close_range for real, around what is ours. */
static int close_between(unsigned int first, unsigned int last, int flags)
{
	unsigned int fd = first;
	int r = 0;

	/* Ours lie below 65536; see xvmc_os_high_fd. */
	for (unsigned int i = first; i <= last && i < 65536; i++) {
		if (!internal((int)i))
			continue;
		if (i > fd)
			r = REAL(close_range)(fd, i - 1, flags);
		if (r < 0)
			return r;
		fd = i + 1;
	}
	return fd <= last ? REAL(close_range)(fd, last, flags) : 0;
}

EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	struct xvmc_ctx *ctx = the_ctx();
	int saved = errno, r;

	if (!tables_are_ours(ctx) || first > last ||
	    (flags & ~(CLOSE_RANGE_CLOEXEC | CLOSE_RANGE_UNSHARE)))
		return REAL(close_range)(first, last, flags);
	if ((flags & CLOSE_RANGE_UNSHARE) && preload_part_files())
		flags &= ~CLOSE_RANGE_UNSHARE;
	errno = saved;
	if (flags & CLOSE_RANGE_CLOEXEC) /* ours have it anyway */
		return REAL(close_range)(first, last, flags);
	for (unsigned int i = first; i <= last && i < ctx->nfds && i < 65536; i++) {
		xvmc_fd_made(ctx, (int)i, 0);
		if (known((int)i)) {
			ENDPOINT(ep, (int)i);

			xvmc_sock_close(ctx, (int)i); /* if not, we do below */
			if (ep)
				xvmc_sock_linger(ep);
		}
	}
	errno = saved;
	xvmc_numbers_use();
	r = close_between(first, last, flags);
	xvmc_numbers_used();
	for (unsigned int i = first; i <= last && i <= STDERR_FILENO; i++)
		preload_left_stdio((int)i);
	/* A kernel or a libc without it: then the program finds out itself,
	 * and closes one by one what we have just forgotten. */
	return r;
}

EXPORT void closefrom(int low)
{
	if (!the_ctx() || close_range(low < 0 ? 0 : (unsigned int)low, ~0u, 0) < 0)
		REAL(closefrom)(low);
}

/* ---- dup ---- */

static int duped(int from, int to)
{
	struct xvmc_ctx *ctx = the_ctx();
	int saved = errno;

	if (to >= 0 && ctx) { /* either may set what the other has, too */
		xvmc_fd_made(ctx, from, 0);
		xvmc_fd_made(ctx, to, 0);
	}
	if (to >= 0 && ctx && (known(from) || known(to))) {
		preload_fresh(to);
		preload_escape_stdio(from, to);
		xvmc_sock_dup(ctx, from, to);
		errno = saved;
	}
	if (to >= 0)
		preload_left_stdio(to);
	return to;
}

EXPORT int dup(int fd)
{
	int saved = errno, r;

	if (internal(fd))
		return (int)give(-EBADF, saved);
	xvmc_numbers_use();
	r = REAL(dup)(fd);
	xvmc_numbers_used();
	return duped(fd, r);
}

/* Before the kernel replaces to: its connection ends as by close(), and stdio
 * may use the new one at once. */
static int before_dup(int from, int to)
{
	struct xvmc_ctx *ctx = the_ctx();

	if (internal(from) || internal(to))
		return -EBADF;
	if (from == to)
		return 0;
	if (known(to) && tables_are_ours(ctx) && os_fcntl(from, F_GETFD, 0) >= 0)
		xvmc_sock_forget(ctx, to);
	preload_escape_stdio(from, to);
	return 0;
}

static int replaced(struct xvmc_endpoint *old, int to)
{
	if (old)
		xvmc_sock_linger(old);
	return to;
}

EXPORT int dup2(int from, int to)
{
	ENDPOINT(old, to);
	int saved = errno, r = before_dup(from, to);

	if (r < 0)
		return (int)give(r, saved);
	errno = saved;
	xvmc_numbers_use();
	r = internal(to) ? (int)give(-EBADF, 0) : REAL(dup2)(from, to);
	xvmc_numbers_used();
	return from == to ? r : replaced(old, duped(from, r));
}

EXPORT int dup3(int from, int to, int flags)
{
	ENDPOINT(old, to);
	int saved = errno, r;

	if (from == to || (flags & ~O_CLOEXEC))
		return REAL(dup3)(from, to, flags);
	r = before_dup(from, to);
	if (r < 0)
		return (int)give(r, saved);
	errno = saved;
	xvmc_numbers_use();
	r = internal(to) ? (int)give(-EBADF, 0) : REAL(dup3)(from, to, flags);
	xvmc_numbers_used();
	return replaced(old, duped(from, r));
}

/* ---- fcntl, ioctl ---- */

/* Followed, or a socket that may be connected yet. */
static void now_nonblock(struct xvmc_endpoint *ep, int fd, bool on)
{
	struct xvmc_ctx *ctx = the_ctx();

	if (ep)
		xvmc_sock_set_nonblock(ep, on);
	if (ctx && xvmc_fd_made_of(ctx, fd))
		xvmc_fd_made(ctx, fd, XVMC_MADE_TCP | (on ? XVMC_MADE_NONBLOCK : 0));
}

/* Is given the lowest, or asks whether it is open. */
static bool names_numbers(int cmd)
{
	return cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC || cmd == F_GETFD || cmd == F_GETFL;
}

static int do_fcntl(sym_fcntl real, int fd, int cmd, void *arg)
{
	ENDPOINT(ep, fd);
	int saved = errno, r;

	if (internal(fd))
		return (int)give(-EBADF, saved);
	/* SIGIO comes from the kernel's socket alone. */
	if (ep && cmd == F_SETFL && ((intptr_t)arg & O_ASYNC))
		preload_escape_here(ep, XVMC_R_UNFOLLOWED);
	if (names_numbers(cmd)) {
		xvmc_numbers_use();
		r = real(fd, cmd, arg);
		xvmc_numbers_used();
		return cmd == F_GETFD || cmd == F_GETFL ? r : duped(fd, r);
	}
	r = real(fd, cmd, arg);
	if (r == 0 && cmd == F_SETFL)
		now_nonblock(ep, fd, ((intptr_t)arg & O_NONBLOCK) != 0);
	return r;
}

EXPORT int fcntl(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	return do_fcntl(REAL(fcntl), fd, cmd, arg);
}

EXPORT int fcntl64(int fd, int cmd, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, cmd);
	arg = va_arg(ap, void *);
	va_end(ap);
	return do_fcntl(REAL(fcntl64), fd, cmd, arg);
}

EXPORT int ioctl(int fd, unsigned long req, ...)
{
	ENDPOINT(ep, fd);
	int saved = errno, r;
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (ep && !nowhere(arg, sizeof(int))) {
		if (req == FIOASYNC && *(int *)arg)
			preload_escape_here(ep, XVMC_R_UNFOLLOWED);
		r = xvmc_sock_ioctl(ep, req, arg);
		if (r != -ENOTTY)
			return (int)give(r, saved);
		errno = saved;
	}
	r = REAL(ioctl)(fd, req, arg);
	if (r == 0 && req == FIONBIO)
		now_nonblock(ep, fd, *(int *)arg != 0);
	return r;
}

/* ---- other names ---- */

EXPORT __typeof__(connect) __connect ALIAS_OF(connect);
EXPORT __typeof__(close) __close ALIAS_OF(close);
EXPORT __typeof__(dup2) __dup2 ALIAS_OF(dup2);
EXPORT __typeof__(fcntl) __fcntl ALIAS_OF(fcntl);
