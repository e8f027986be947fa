/* SPDX-License-Identifier: MIT */
/*
 * Wrappers: poll, select, epoll. Without a descriptor we know in the set they
 * are libc's own.
 */
#include <limits.h>
#include <pthread.h>
#include <sys/resource.h>

#include "preload.h"

static const struct timespec *from_ms(int ms, struct timespec *buf)
{
	if (ms < 0)
		return NULL;
	*buf = (struct timespec){ ms / 1000, ms % 1000 * 1000000L };
	return buf;
}

/* A set this long is compared with the limit before it is looked at. */
#define LONG_SET 256

/* More descriptors than there can be: the kernel refuses them unseen. */
static bool too_many(nfds_t n)
{
	struct rlimit lim;

	return n > INT_MAX ||
	       (n > LONG_SET && getrlimit(RLIMIT_NOFILE, &lim) == 0 &&
		n > lim.rlim_cur);
}

static bool poll_concerns(const struct pollfd *fds, nfds_t n)
{
	struct xvmc_ctx *ctx = the_ctx();

	return ctx && ctx->opt.enable && n && !too_many(n) && !nowhere(fds, n * sizeof(*fds)) &&
	       xvmc_poll_concerns(ctx, fds, n);
}

/* What the program may leave out, but not point nowhere with. */
static bool bad_extras(const struct timespec *ts, const sigset_t *mask)
{
	return (ts && nowhere(ts, sizeof(*ts))) ||
	       (mask && nowhere(mask, sizeof(long))); /* the kernel's is shorter */
}

EXPORT int poll(struct pollfd *fds, nfds_t n, int ms)
{
	struct timespec ts;
	int saved = errno;

	if (!poll_concerns(fds, n))
		return REAL(poll)(fds, n, ms);
	pthread_testcancel(); /* lib/socket's are one only in their sleep */
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
	pthread_testcancel();
	if (bad_extras(ts, mask))
		return (int)give(-EFAULT, 0);
	return (int)give(xvmc_poll(the_ctx(), fds, n, ts, mask), saved);
}

EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t n, const struct timespec *ts,
		       const sigset_t *mask, size_t room)
{
	if (n > room / sizeof(*fds) || !poll_concerns(fds, n))
		return REAL(__ppoll_chk)(fds, n, ts, mask, room);
	return ppoll(fds, n, ts, mask);
}

static bool bad_set(int n, const fd_set *set)
{
	return set && nowhere(set, ((size_t)n + NFDBITS - 1) / NFDBITS * sizeof(fd_mask));
}

static bool select_concerns(int n, const fd_set *rd, const fd_set *wr, const fd_set *ex)
{
	struct xvmc_ctx *ctx = the_ctx();

	return ctx && ctx->opt.enable && n > 0 && !bad_set(n, rd) && !bad_set(n, wr) && !bad_set(n, ex) &&
	       xvmc_select_concerns(ctx, n, rd, wr, ex);
}

/*
 * The kernel looks at no bit beyond its table of descriptors, which is longer
 * for ours. A number that it says is closed there, and that would have been
 * beyond, was not looked at. True: again with *n.
 */
static bool looked_beyond(int r, int *n)
{
	unsigned int own = r < 0 && errno == EBADF && the_ctx() ? xvmc_os_own_table() : 0;

	if (!own || *n <= 0 || (unsigned int)*n <= own)
		return false;
	*n = (int)own;
	return true;
}

/* What the set names of n numbers is ours, thus closed for the program. */
static bool set_names_ours(int n, const fd_set *set)
{
	const fd_mask *words = (const fd_mask *)set;

	if (!set || bad_set(n, set))
		return false;
	for (int at = 0; at < n; at += NFDBITS)
		for (fd_mask w = words[at / NFDBITS]; w; w &= w - 1) {
			int fd = at + __builtin_ctzl((unsigned long)w);

			if (fd < n && xvmc_os_fd_internal(fd))
				return true;
		}
	return false;
}

static bool names_ours(int n, const fd_set *rd, const fd_set *wr, const fd_set *ex)
{
	return the_ctx() && (set_names_ours(n, rd) || set_names_ours(n, wr) ||
			     set_names_ours(n, ex));
}

static int do_select(int n, fd_set *rd, fd_set *wr, fd_set *ex, struct timeval *tv)
{
	struct timespec ts;
	int saved = errno, r;

	if (names_ours(n, rd, wr, ex))
		return (int)give(-EBADF, saved);
	if (!select_concerns(n, rd, wr, ex))
		return REAL(select)(n, rd, wr, ex, tv);
	pthread_testcancel();
	if (!tv)
		return (int)give(xvmc_select(the_ctx(), n, rd, wr, ex, NULL, NULL), saved);
	if (nowhere(tv, sizeof(*tv)))
		return (int)give(-EFAULT, saved);
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

EXPORT int select(int n, fd_set *rd, fd_set *wr, fd_set *ex, struct timeval *tv)
{
	int saved = errno, r = do_select(n, rd, wr, ex, tv);

	if (looked_beyond(r, &n)) {
		errno = saved;
		r = do_select(n, rd, wr, ex, tv);
	}
	return r;
}

static int do_pselect(int n, fd_set *rd, fd_set *wr, fd_set *ex,
		      const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec ts;
	int saved = errno;

	if (names_ours(n, rd, wr, ex))
		return (int)give(-EBADF, saved);
	if (!select_concerns(n, rd, wr, ex))
		return REAL(pselect)(n, rd, wr, ex, timeout, mask);
	pthread_testcancel();
	if (bad_extras(timeout, mask))
		return (int)give(-EFAULT, saved);
	if (timeout)
		ts = *timeout; /* pselect does not tell what is left */
	return (int)give(xvmc_select(the_ctx(), n, rd, wr, ex, timeout ? &ts : NULL,
				     mask), saved);
}

EXPORT int pselect(int n, fd_set *rd, fd_set *wr, fd_set *ex,
		   const struct timespec *timeout, const sigset_t *mask)
{
	int saved = errno, r = do_pselect(n, rd, wr, ex, timeout, mask);

	if (looked_beyond(r, &n)) {
		errno = saved;
		r = do_pselect(n, rd, wr, ex, timeout, mask);
	}
	return r;
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
	/* The first thing the kernel does is to copy it. */
	if (op != EPOLL_CTL_DEL && nowhere(ev, sizeof(*ev)))
		return (int)give(-EFAULT, saved);
	return (int)give(xvmc_epoll_ctl(ctx, epfd, op, fd, ev), saved);
}

/* Room for events that is none: the call waits and fails as any other until
 * there is an event to be put there, which stays. */
static int wait_nowhere(int epfd, const struct epoll_event *evs, int max,
			const struct timespec *ts, const sigset_t *mask)
{
	struct pollfd p = { .fd = epfd, .events = POLLIN };
	int r;

	if (outside(evs, (size_t)max * sizeof(*evs)))
		return -EFAULT;
	r = xvmc_poll(the_ctx(), &p, 1, ts, mask);
	return r > 0 ? -EFAULT : r;
}

static int wait_known(int epfd, struct epoll_event *evs, int max,
		      const struct timespec *ts, const sigset_t *mask)
{
	int saved = errno, r;

	pthread_testcancel();
	if (bad_extras(ts, mask))
		r = -EFAULT;
	else if (ts && (ts->tv_sec < 0 || (unsigned long)ts->tv_nsec >= 1000000000))
		r = -EINVAL;
	else if (max > (int)(INT_MAX / sizeof(*evs)))
		r = -EINVAL; /* the kernel's EP_MAX_EVENTS */
	else if (max > 0 && nowhere(evs, (size_t)max * sizeof(*evs)))
		r = wait_nowhere(epfd, evs, max, ts, mask);
	else
		r = xvmc_epoll_pwait(the_ctx(), epfd, evs, max, ts, mask);
	return (int)give(r, saved);
}

EXPORT int epoll_wait(int epfd, struct epoll_event *evs, int max, int ms)
{
	struct timespec ts;

	if (!known(epfd))
		return REAL(epoll_wait)(epfd, evs, max, ms);
	return wait_known(epfd, evs, max, from_ms(ms, &ts), NULL);
}

EXPORT int epoll_pwait(int epfd, struct epoll_event *evs, int max, int ms,
		       const sigset_t *mask)
{
	struct timespec ts;

	if (!known(epfd))
		return REAL(epoll_pwait)(epfd, evs, max, ms, mask);
	return wait_known(epfd, evs, max, from_ms(ms, &ts), mask);
}

EXPORT int epoll_pwait2(int epfd, struct epoll_event *evs, int max,
			const struct timespec *ts, const sigset_t *mask)
{
	if (!known(epfd))
		return REAL(epoll_pwait2)(epfd, evs, max, ts, mask);
	return wait_known(epfd, evs, max, ts, mask);
}

/* ---- other names ---- */

EXPORT __typeof__(poll) __poll ALIAS_OF(poll);
EXPORT __typeof__(select) __select ALIAS_OF(select);
