/* SPDX-License-Identifier: MIT */
/*
 * Wrappers: poll, select, epoll. Without a descriptor we know in the set they
 * are libc's own.
 */
#include "preload.h"

static const struct timespec *from_ms(int ms, struct timespec *buf)
{
	if (ms < 0)
		return NULL;
	*buf = (struct timespec){ ms / 1000, ms % 1000 * 1000000L };
	return buf;
}

static bool poll_concerns(const struct pollfd *fds, nfds_t n)
{
	struct xvmc_ctx *ctx = the_ctx();

	return ctx && fds && xvmc_poll_concerns(ctx, fds, n);
}

EXPORT int poll(struct pollfd *fds, nfds_t n, int ms)
{
	struct timespec ts;
	int saved = errno;

	if (!poll_concerns(fds, n))
		return REAL(poll)(fds, n, ms);
	return (int)give(xvmc_poll(the_ctx(), fds, n, from_ms(ms, &ts), NULL), saved);
}

EXPORT int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t room)
{
	if (n > room / sizeof(*fds) || !poll_concerns(fds, n))
		return REAL(__poll_chk)(fds, n, ms, room);
	return poll(fds, n, ms);
}

EXPORT int ppoll(struct pollfd *fds, nfds_t n, const struct timespec *ts,
		 const sigset_t *mask)
{
	int saved = errno;

	if (!poll_concerns(fds, n))
		return REAL(ppoll)(fds, n, ts, mask);
	return (int)give(xvmc_poll(the_ctx(), fds, n, ts, mask), saved);
}

EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *ts,
		       const sigset_t *mask, size_t room)
{
	if (n > room / sizeof(*fds) || !poll_concerns(fds, n))
		return REAL(__ppoll_chk)(fds, n, ts, mask, room);
	return ppoll(fds, n, ts, mask);
}

static bool select_concerns(int n, const fd_set *rd, const fd_set *wr, const fd_set *ex)
{
	struct xvmc_ctx *ctx = the_ctx();

	return ctx && n > 0 && xvmc_select_concerns(ctx, n, rd, wr, ex);
}

EXPORT int select(int n, fd_set *rd, fd_set *wr, fd_set *ex, struct timeval *tv)
{
	struct timespec ts;
	int saved = errno, r;

	if (!select_concerns(n, rd, wr, ex))
		return REAL(select)(n, rd, wr, ex, tv);
	if (!tv)
		return (int)give(xvmc_select(the_ctx(), n, rd, wr, ex, NULL, NULL), saved);
	if (tv->tv_sec < 0 || tv->tv_usec < 0)
		return (int)give(-EINVAL, saved);
	/* More than a second of microseconds is fine with select. */
	ts.tv_sec = tv->tv_sec + tv->tv_usec / 1000000;
	ts.tv_nsec = tv->tv_usec % 1000000 * 1000;
	r = xvmc_select(the_ctx(), n, rd, wr, ex, &ts, NULL);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return (int)give(r, saved);
}

EXPORT int pselect(int n, fd_set *rd, fd_set *wr, fd_set *ex,
		   const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec ts;
	int saved = errno;

	if (!select_concerns(n, rd, wr, ex))
		return REAL(pselect)(n, rd, wr, ex, timeout, mask);
	if (timeout)
		ts = *timeout; /* pselect does not tell what is left */
	return (int)give(xvmc_select(the_ctx(), n, rd, wr, ex, timeout ? &ts : NULL,
				     mask), saved);
}

static int created(int epfd)
{
	struct xvmc_ctx *ctx = the_ctx();
	int saved = errno;

	if (epfd >= 0 && ctx) {
		preload_fresh(epfd);
		xvmc_epoll_created(ctx, epfd);
		errno = saved;
	}
	return epfd;
}

EXPORT int epoll_create(int size)
{
	return created(REAL(epoll_create)(size));
}

EXPORT int epoll_create1(int flags)
{
	return created(REAL(epoll_create1)(flags));
}

EXPORT int epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	struct xvmc_ctx *ctx = the_ctx();
	int saved = errno;

	if (!ctx)
		return REAL(epoll_ctl)(epfd, op, fd, ev);
	return (int)give(xvmc_epoll_ctl(ctx, epfd, op, fd, ev), saved);
}

EXPORT int epoll_wait(int epfd, struct epoll_event *evs, int max, int ms)
{
	struct timespec ts;
	int saved = errno;

	if (!known(epfd))
		return REAL(epoll_wait)(epfd, evs, max, ms);
	return (int)give(xvmc_epoll_pwait(the_ctx(), epfd, evs, max,
					  from_ms(ms, &ts), NULL), saved);
}

EXPORT int epoll_pwait(int epfd, struct epoll_event *evs, int max, int ms,
		       const sigset_t *mask)
{
	struct timespec ts;
	int saved = errno;

	if (!known(epfd))
		return REAL(epoll_pwait)(epfd, evs, max, ms, mask);
	return (int)give(xvmc_epoll_pwait(the_ctx(), epfd, evs, max,
					  from_ms(ms, &ts), mask), saved);
}

EXPORT int epoll_pwait2(int epfd, struct epoll_event *evs, int max,
			const struct timespec *ts, const sigset_t *mask)
{
	int saved = errno;

	if (!known(epfd))
		return REAL(epoll_pwait2)(epfd, evs, max, ts, mask);
	return (int)give(xvmc_epoll_pwait(the_ctx(), epfd, evs, max, ts, mask), saved);
}

/* ---- other names ---- */

EXPORT __typeof__(poll) __poll ALIAS_OF(poll);
EXPORT __typeof__(select) __select ALIAS_OF(select);
