/* SPDX-License-Identifier: MIT */
/*
 * Wrappers: the calls that read bytes.
 */
#include <pthread.h>

#include "preload.h"

/* These leave the byte stream for what only TCP can do. */
#define RECV_ESCAPE (MSG_OOB | MSG_ERRQUEUE)

/* ---- from lib/socket ---- */

#define SINKS 64

/* A vector for n bytes, or as many as it can take, one over the other. Returns
 * how long it is. */
static size_t into_sink(struct iovec to[SINKS], char *sink, size_t size, size_t n)
{
	size_t cnt = 0;

	do {
		to[cnt] = (struct iovec){ sink, n < size ? n : size };
		n -= to[cnt++].iov_len;
	} while (n && cnt < SINKS);
	return cnt;
}

/* MSG_TRUNC of a stream: the bytes are thrown away, the buffer may be NULL. Who
 * only peeks is told of them all at once. */
static __attribute__((noinline)) ssize_t
recv_discard(struct xvmc_endpoint *ep, int fd, size_t left, int flags)
{
	struct iovec to[SINKS];
	char sink[16384];
	ssize_t sum = 0, r;
	size_t n, cnt;

	flags &= ~MSG_TRUNC;
	do {
		cnt = into_sink(to, sink, sizeof(sink), left);
		n = xvmc_iov_make(to, cnt).left;
		r = xvmc_sock_recv(ep, fd, to, cnt, flags);
		if (r <= 0)
			break;
		sum += r;
		left -= (size_t)r;
		if (!(flags & MSG_WAITALL))
			flags |= MSG_DONTWAIT;
		/* After a short one comes the next call's: perhaps an error. */
	} while (left && (size_t)r == n && !(flags & MSG_PEEK));
	return sum ? sum : r;
}

/* Where the first buffer leads nowhere, the call waits and fails as any other
 * until there is a byte to be put there, which stays. */
static ssize_t __attribute__((noinline))
recv_odd(struct xvmc_endpoint *ep, int fd, const struct iovec *vec, size_t cnt,
	 int flags)
{
	struct iovec own[IOV_MAX];
	bool bad;
	ssize_t r;
	char c;

	cnt = take_over(own, vec, cnt, &bad);
	if (!bad || xvmc_iov_make(own, cnt).left)
		return xvmc_sock_recv(ep, fd, own, cnt, flags);
	own[0] = (struct iovec){ &c, 1 };
	r = xvmc_sock_recv(ep, fd, own, 1, (flags & ~MSG_WAITALL) | MSG_PEEK);
	return r > 0 ? -EFAULT : r;
}

/* Also a cancellation point: lib/socket's calls are one only in their sleep. */
static ssize_t do_recv(struct xvmc_endpoint *ep, int fd, const struct iovec *vec,
		       size_t cnt, int flags)
{
	int saved = errno, odd;
	size_t sum;
	ssize_t r;

	pthread_testcancel();
	odd = survey(vec, cnt, &sum);
	if (odd < 0)
		r = odd;
	else if (flags & MSG_TRUNC)
		r = recv_discard(ep, fd, sum, flags);
	else if (odd)
		r = recv_odd(ep, fd, vec, cnt, flags);
	else
		r = xvmc_sock_recv(ep, fd, vec, cnt, flags);
	return give(r, saved);
}

static ssize_t recv1(struct xvmc_endpoint *ep, int fd, void *buf, size_t n, int flags)
{
	struct iovec vec = { buf, n < RW_MAX ? n : RW_MAX };

	return do_recv(ep, fd, &vec, 1, flags);
}

static ssize_t recv_short(int fd, void *buf, size_t n, int flags)
{
	return short_way(fd, buf, n, flags, xvmc_ep_recv_now, xvmc_sock_recv);
}

/* ---- the calls ---- */

static ssize_t __attribute__((noinline)) read_any(int fd, void *buf, size_t n)
{
	ENDPOINT(ep, fd);

	/* Nothing asked, nothing looked at: read's own, unlike recv's. */
	if (!ep || n == 0)
		return REAL(read)(fd, buf, n);
	BARE_RECV(ep, 0, REAL(read)(fd, buf, n));
	if (outside(buf, n)) /* before it is cut to length, unlike recv's */
		return give(-EFAULT, 0);
	return recv1(ep, fd, buf, n, 0);
}

EXPORT ssize_t read(int fd, void *buf, size_t n)
{
	ssize_t r = recv_short(fd, buf, n, 0);

	return r != NOT_THIS_WAY ? r : read_any(fd, buf, n);
}

EXPORT ssize_t __read_chk(int fd, void *buf, size_t n, size_t room)
{
	if (!known(fd) || n > room)
		return REAL(__read_chk)(fd, buf, n, room);
	return read(fd, buf, n);
}

EXPORT ssize_t readv(int fd, const struct iovec *vec, int cnt)
{
	ENDPOINT(ep, fd);
	int r;

	if (!ep || cnt == 0)
		return REAL(readv)(fd, vec, cnt);
	BARE_RECV(ep, 0, REAL(readv)(fd, vec, cnt));
	r = check_vec(vec, cnt);
	if (r < 0 || !vec_bytes(vec, cnt))
		return give(r, errno);
	return do_recv(ep, fd, vec, (size_t)cnt, 0);
}

EXPORT ssize_t preadv2(int fd, const struct iovec *vec, int cnt, off_t pos, int flags)
{
	ENDPOINT(ep, fd);
	int r;

	if (!ep || pos != -1 || cnt == 0)
		return REAL(preadv2)(fd, vec, cnt, pos, flags);
	if (flags & ~RWF_RING) {
		if (!preload_escape_here(ep, XVMC_R_UNFOLLOWED))
			return -1;
		/* What the flag means to a read, only the kernel knows. */
		return xvmc_sock_early(ep) ? give(-EOPNOTSUPP, 0) :
					     REAL(preadv2)(fd, vec, cnt, pos, flags);
	}
	r = check_vec(vec, cnt);
	if (r < 0 || !vec_bytes(vec, cnt))
		return give(r, errno);
	return do_recv(ep, fd, vec, (size_t)cnt, flags & RWF_NOWAIT ? MSG_DONTWAIT : 0);
}

EXPORT ssize_t preadv64v2(int fd, const struct iovec *vec, int cnt, off64_t pos,
			  int flags)
{
	return preadv2(fd, vec, cnt, pos, flags);
}

static ssize_t __attribute__((noinline))
recv_any(int fd, void *buf, size_t n, int flags)
{
	ENDPOINT(ep, fd);

	if (!ep)
		return REAL(recv)(fd, buf, n, flags);
	BARE_RECV(ep, flags, REAL(recv)(fd, buf, n, flags));
	if (flags & RECV_ESCAPE) {
		return preload_escape_here(ep, XVMC_R_UNFOLLOWED) ?
			       REAL(recv)(fd, buf, n, flags) :
			       -1;
	}
	return recv1(ep, fd, buf, n, flags);
}

EXPORT ssize_t recv(int fd, void *buf, size_t n, int flags)
{
	ssize_t r = recv_short(fd, buf, n, flags);

	return r != NOT_THIS_WAY ? r : recv_any(fd, buf, n, flags);
}

EXPORT ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags)
{
	if (!known(fd) || n > room)
		return REAL(__recv_chk)(fd, buf, n, room, flags);
	return recv(fd, buf, n, flags);
}

EXPORT ssize_t recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *sa,
			socklen_t *len)
{
	ENDPOINT(ep, fd);
	ssize_t r;

	if (!ep)
		return REAL(recvfrom)(fd, buf, n, flags, sa, len);
	BARE_RECV(ep, flags, REAL(recvfrom)(fd, buf, n, flags, sa, len));
	if (flags & RECV_ESCAPE) {
		return preload_escape_here(ep, XVMC_R_UNFOLLOWED) ?
			       REAL(recvfrom)(fd, buf, n, flags, sa, len) :
			       -1;
	}
	r = recv1(ep, fd, buf, n, flags);
	if (r < 0 || !sa)
		return r;
	/* A stream has no source address. Where that cannot be said, the
	 * bytes are gone all the same. */
	if (nowhere(len, sizeof(*len)))
		return give(-EFAULT, 0);
	if ((int)*len < 0)
		return give(-EINVAL, 0);
	*len = 0;
	return r;
}

EXPORT ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t room, int flags,
			      struct sockaddr *sa, socklen_t *len)
{
	if (!known(fd) || n > room)
		return REAL(__recvfrom_chk)(fd, buf, n, room, flags, sa, len);
	return recvfrom(fd, buf, n, flags, sa, len);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *msg, int flags)
{
	ENDPOINT(ep, fd);
	ssize_t r;

	if (!ep)
		return REAL(recvmsg)(fd, msg, flags);
	BARE_RECV(ep, flags, REAL(recvmsg)(fd, msg, flags));
	if (nowhere(msg, sizeof(*msg)))
		return give(-EFAULT, 0);
	if (flags & RECV_ESCAPE) {
		return preload_escape_here(ep, XVMC_R_UNFOLLOWED) ?
			       REAL(recvmsg)(fd, msg, flags) :
			       -1;
	}
	r = check_msg(msg, false);
	if (r < 0)
		return give(r, 0);
	r = do_recv(ep, fd, msg->msg_iov, msg->msg_iovlen, flags & ~MSG_CMSG_CLOEXEC);
	if (r >= 0) {
		if (msg->msg_name)
			msg->msg_namelen = 0;
		msg->msg_controllen = 0;
		msg->msg_flags = flags & MSG_CMSG_CLOEXEC;
	}
	return r;
}

static bool passed(const struct timespec *end)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec > end->tv_sec ||
	       (now.tv_sec == end->tv_sec && now.tv_nsec >= end->tv_nsec);
}

static void untell(int fd, int err)
{
	ENDPOINT(ep, fd);

	if (ep)
		xvmc_sock_untell(ep, -err);
}

EXPORT int recvmmsg(int fd, struct mmsghdr *vec, unsigned int cnt, int flags,
		    struct timespec *timeout)
{
	struct timespec end = { 0 };
	unsigned int i;
	ssize_t r;

	if (!known(fd) || cnt == 0)
		return REAL(recvmmsg)(fd, vec, cnt, flags, timeout);
	if (timeout) {
		if (nowhere(timeout, sizeof(*timeout)))
			return (int)give(-EFAULT, 0);
		if (timeout->tv_sec < 0 ||
		    (unsigned long)timeout->tv_nsec >= 1000000000)
			return (int)give(-EINVAL, 0);
		clock_gettime(CLOCK_MONOTONIC, &end);
		end.tv_sec += timeout->tv_sec;
		end.tv_nsec += timeout->tv_nsec;
		end.tv_sec += end.tv_nsec / 1000000000;
		end.tv_nsec %= 1000000000;
	}
	/* The kernel looks for an error first, whatever there is to read. */
	if (!(flags & MSG_ERRQUEUE)) {
		int saved = errno, err = 0;
		socklen_t len = sizeof(err);

		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 && err)
			return (int)give(-err, 0);
		errno = saved;
	}
	for (i = 0; i < cnt; i++) {
		int saved = errno;

		r = recvmsg(fd, &vec[i].msg_hdr, flags & ~MSG_WAITFORONE);
		if (r < 0) {
			if (i == 0)
				return -1;
			untell(fd, errno);
			errno = saved;
			break;
		}
		vec[i].msg_len = (unsigned int)r;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		/* The timeout is looked at after each message only. */
		if (timeout && passed(&end)) {
			i++;
			break;
		}
	}
	return (int)i;
}

EXPORT __typeof__(read) __read ALIAS_OF(read);
