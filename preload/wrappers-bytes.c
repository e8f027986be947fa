/* SPDX-License-Identifier: MIT */
/*
 * Wrappers: the calls that move bytes.
 */
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "preload.h"

/* These leave the byte stream for what only TCP can do. */
#define RECV_ESCAPE (MSG_OOB | MSG_ERRQUEUE)
#define SEND_ESCAPE (MSG_OOB | MSG_ZEROCOPY | MSG_FASTOPEN)

/* ---- to and from lib/socket ---- */

/* MSG_TRUNC of a stream: the bytes are thrown away, the buffer may be NULL. */
static ssize_t recv_discard(struct xvmc_endpoint *ep, int fd, size_t left, int flags,
			    int *ret_msg_flags)
{
	char sink[16384];
	ssize_t sum = 0, r;

	flags &= ~MSG_TRUNC;
	do {
		struct iovec to = { sink, left < sizeof(sink) ? left : sizeof(sink) };

		r = xvmc_sock_recv(ep, fd, &to, 1, flags, ret_msg_flags);
		if (r <= 0)
			break;
		sum += r;
		left -= (size_t)r;
		if (!(flags & MSG_WAITALL))
			flags |= MSG_DONTWAIT;
	} while (left && !(flags & MSG_PEEK));
	return sum ? sum : r;
}

/* Where the first buffer leads nowhere, the call waits and fails as any other
 * until there is a byte to be put there, which stays. */
static ssize_t __attribute__((noinline))
recv_odd(struct xvmc_endpoint *ep, int fd, const struct iovec *vec, size_t cnt,
	 int flags, int *ret_msg_flags)
{
	struct iovec own[IOV_MAX];
	bool bad;
	ssize_t r;
	char c;

	cnt = take_over(own, vec, cnt, &bad);
	if (!bad || xvmc_iov_make(own, cnt).left)
		return xvmc_sock_recv(ep, fd, own, cnt, flags, ret_msg_flags);
	own[0] = (struct iovec){ &c, 1 };
	r = xvmc_sock_recv(ep, fd, own, 1, (flags & ~MSG_WAITALL) | MSG_PEEK,
			   ret_msg_flags);
	return r > 0 ? -EFAULT : r;
}

/* Also a cancellation point: lib/socket's calls are one only in their sleep. */
static ssize_t do_recv(struct xvmc_endpoint *ep, int fd, const struct iovec *vec,
		       size_t cnt, int flags, int *ret_msg_flags)
{
	int saved = errno, odd;
	size_t sum;
	ssize_t r;

	pthread_testcancel();
	odd = survey(vec, cnt, &sum);
	if (odd < 0)
		r = odd;
	else if (flags & MSG_TRUNC)
		r = recv_discard(ep, fd, sum, flags, ret_msg_flags);
	else if (odd)
		r = recv_odd(ep, fd, vec, cnt, flags, ret_msg_flags);
	else
		r = xvmc_sock_recv(ep, fd, vec, cnt, flags, ret_msg_flags);
	return give(r, saved);
}

static ssize_t recv1(struct xvmc_endpoint *ep, int fd, void *buf, size_t n, int flags)
{
	struct iovec vec = { buf, n < RW_MAX ? n : RW_MAX };
	int msg_flags;

	return do_recv(ep, fd, &vec, 1, flags, &msg_flags);
}

/* A buffer that leads nowhere: what else is wrong comes first. Nothing is
 * sent, though the kernel may have sent a long piece before it. */
static ssize_t __attribute__((noinline))
send_odd(struct xvmc_endpoint *ep, int fd, const struct iovec *vec, size_t cnt,
	 int flags)
{
	struct iovec own[IOV_MAX];
	bool bad;
	ssize_t r;

	cnt = take_over(own, vec, cnt, &bad);
	if (!bad)
		return xvmc_sock_send(ep, fd, own, cnt, flags);
	r = xvmc_sock_send(ep, fd, own, 0, flags);
	return r < 0 ? r : -EFAULT;
}

static ssize_t do_send(struct xvmc_endpoint *ep, int fd, const struct iovec *vec,
		       size_t cnt, int flags)
{
	int saved = errno, odd;
	size_t sum;
	ssize_t r;

	pthread_testcancel();
	odd = survey(vec, cnt, &sum);
	if (odd)
		r = odd < 0 ? odd : send_odd(ep, fd, vec, cnt, flags);
	else
		r = xvmc_sock_send(ep, fd, vec, cnt, flags);
	return give(r, saved);
}

static ssize_t send1(struct xvmc_endpoint *ep, int fd, const void *buf, size_t n,
		     int flags)
{
	struct iovec vec = { (void *)(uintptr_t)buf, n < RW_MAX ? n : RW_MAX };

	return do_send(ep, fd, &vec, 1, flags);
}

/* The kernel does not ask the socket where there is nothing to move. */
static bool vec_bytes(const struct iovec *vec, int cnt)
{
	for (int i = 0; i < cnt; i++)
		if (vec[i].iov_len)
			return true;
	return false;
}

/* ---- reading ---- */

EXPORT ssize_t read(int fd, void *buf, size_t n)
{
	ENDPOINT(ep, fd);

	/* Nothing asked, nothing looked at: read's own, unlike recv's. */
	if (!ep || n == 0)
		return REAL(read)(fd, buf, n);
	if (outside(buf, n)) /* before it is cut to length, unlike recv's */
		return give(-EFAULT, 0);
	return recv1(ep, fd, buf, n, 0);
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
	int msg_flags, r;

	if (!ep || cnt == 0)
		return REAL(readv)(fd, vec, cnt);
	r = check_vec(vec, cnt);
	if (r < 0 || !vec_bytes(vec, cnt))
		return give(r, errno);
	return do_recv(ep, fd, vec, (size_t)cnt, 0, &msg_flags);
}

/*
 * What preadv2 and pwritev2 ask of a file and a socket does not hear, and the
 * flag of a socket. With any other the kernel is to answer, and has the
 * connection for good: it may accept what was not known here.
 */
#define RWF_DEAF (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_APPEND)

static bool rwf_known(struct xvmc_endpoint *ep, int flags)
{
	if (!(flags & ~(RWF_DEAF | RWF_NOWAIT)))
		return true;
	preload_escape(ep, XVMC_R_UNFOLLOWED);
	return false;
}

EXPORT ssize_t preadv2(int fd, const struct iovec *vec, int cnt, off_t pos, int flags)
{
	ENDPOINT(ep, fd);
	int msg_flags, r;

	if (!ep || pos != -1 || cnt == 0 || !rwf_known(ep, flags))
		return REAL(preadv2)(fd, vec, cnt, pos, flags);
	r = check_vec(vec, cnt);
	if (r < 0 || !vec_bytes(vec, cnt))
		return give(r, errno);
	return do_recv(ep, fd, vec, (size_t)cnt,
		       flags & RWF_NOWAIT ? MSG_DONTWAIT : 0, &msg_flags);
}

EXPORT ssize_t preadv64v2(int fd, const struct iovec *vec, int cnt, off64_t pos,
			  int flags)
{
	return preadv2(fd, vec, cnt, pos, flags);
}

EXPORT ssize_t recv(int fd, void *buf, size_t n, int flags)
{
	ENDPOINT(ep, fd);

	if (!ep)
		return REAL(recv)(fd, buf, n, flags);
	if (flags & RECV_ESCAPE) {
		return preload_escape(ep, XVMC_R_UNFOLLOWED) ?
			       REAL(recv)(fd, buf, n, flags) :
			       -1;
	}
	return recv1(ep, fd, buf, n, flags);
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
	if (flags & RECV_ESCAPE) {
		return preload_escape(ep, XVMC_R_UNFOLLOWED) ?
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
	int msg_flags = 0;
	ssize_t r;

	if (!ep)
		return REAL(recvmsg)(fd, msg, flags);
	if (nowhere(msg, sizeof(*msg)))
		return give(-EFAULT, 0);
	if (flags & RECV_ESCAPE) {
		return preload_escape(ep, XVMC_R_UNFOLLOWED) ?
			       REAL(recvmsg)(fd, msg, flags) :
			       -1;
	}
	r = check_msg(msg, false);
	if (r < 0)
		return give(r, 0);
	r = do_recv(ep, fd, msg->msg_iov, msg->msg_iovlen,
		    flags & ~MSG_CMSG_CLOEXEC, &msg_flags);
	if (r >= 0) {
		if (msg->msg_name)
			msg->msg_namelen = 0;
		msg->msg_controllen = 0;
		msg->msg_flags = msg_flags | (flags & MSG_CMSG_CLOEXEC);
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

/* ---- writing ---- */

EXPORT ssize_t write(int fd, const void *buf, size_t n)
{
	ENDPOINT(ep, fd);

	if (!ep)
		return REAL(write)(fd, buf, n);
	if (outside(buf, n))
		return give(-EFAULT, 0);
	return send1(ep, fd, buf, n, 0);
}

EXPORT ssize_t writev(int fd, const struct iovec *vec, int cnt)
{
	ENDPOINT(ep, fd);
	int r;

	if (!ep)
		return REAL(writev)(fd, vec, cnt);
	r = check_vec(vec, cnt);
	if (r < 0 || !vec_bytes(vec, cnt))
		return give(r, errno);
	return do_send(ep, fd, vec, (size_t)cnt, 0);
}

EXPORT ssize_t pwritev2(int fd, const struct iovec *vec, int cnt, off_t pos, int flags)
{
	ENDPOINT(ep, fd);
	int r;

	if (!ep || pos != -1 || !rwf_known(ep, flags))
		return REAL(pwritev2)(fd, vec, cnt, pos, flags);
	r = check_vec(vec, cnt);
	if (r < 0 || !vec_bytes(vec, cnt))
		return give(r, errno);
	return do_send(ep, fd, vec, (size_t)cnt,
		       flags & RWF_NOWAIT ? MSG_DONTWAIT : 0);
}

EXPORT ssize_t pwritev64v2(int fd, const struct iovec *vec, int cnt, off64_t pos,
			   int flags)
{
	return pwritev2(fd, vec, cnt, pos, flags);
}

EXPORT ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	ENDPOINT(ep, fd);

	if (!ep)
		return REAL(send)(fd, buf, n, flags);
	if (flags & SEND_ESCAPE) {
		return preload_escape(ep, XVMC_R_UNFOLLOWED) ?
			       REAL(send)(fd, buf, n, flags) :
			       -1;
	}
	return send1(ep, fd, buf, n, flags);
}

/* An address on a connected stream: the kernel ignores it, so do we. */
EXPORT ssize_t sendto(int fd, const void *buf, size_t n, int flags,
		      const struct sockaddr *sa, socklen_t len)
{
	ENDPOINT(ep, fd);
	int r;

	if (!ep)
		return REAL(sendto)(fd, buf, n, flags, sa, len);
	if (flags & SEND_ESCAPE) {
		return preload_escape(ep, XVMC_R_UNFOLLOWED) ?
			       REAL(sendto)(fd, buf, n, flags, sa, len) :
			       -1;
	}
	r = check_addr(sa, len);
	if (r < 0)
		return give(r, 0);
	return send1(ep, fd, buf, n, flags);
}

/* Descriptors of connections that travel in msg leave our sight. */
static void escape_passed(const struct msghdr *msg)
{
	if (!the_ctx() || nowhere(msg, sizeof(*msg)) || !msg->msg_controllen ||
	    nowhere(msg->msg_control, msg->msg_controllen))
		return;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c;
	     c = CMSG_NXTHDR((struct msghdr *)(uintptr_t)msg, c)) {
		size_t n;
		int fd;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
		    c->cmsg_len < CMSG_LEN(0))
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			preload_escape_fd(fd, XVMC_R_FD_PASSED);
		}
	}
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *msg, int flags)
{
	ENDPOINT(ep, fd);
	int r;

	if (!ep) {
		escape_passed(msg);
		return REAL(sendmsg)(fd, msg, flags);
	}
	if (nowhere(msg, sizeof(*msg)))
		return give(-EFAULT, 0);
	/* Control messages of a stream are instructions to the kernel. */
	if ((flags & SEND_ESCAPE) || msg->msg_controllen) {
		return preload_escape(ep, XVMC_R_UNFOLLOWED) ?
			       REAL(sendmsg)(fd, msg, flags) :
			       -1;
	}
	r = check_msg(msg, true);
	if (r < 0)
		return give(r, 0);
	return do_send(ep, fd, msg->msg_iov, msg->msg_iovlen, flags);
}

EXPORT int sendmmsg(int fd, struct mmsghdr *vec, unsigned int cnt, int flags)
{
	unsigned int i;

	if (!known(fd)) {
		for (i = 0; i < cnt && i < IOV_MAX; i++)
			escape_passed(&vec[i].msg_hdr);
		return REAL(sendmmsg)(fd, vec, cnt, flags);
	}
	if (cnt > IOV_MAX)
		cnt = IOV_MAX;
	for (i = 0; i < cnt; i++) {
		int saved = errno;
		ssize_t r = sendmsg(fd, &vec[i].msg_hdr, flags);

		if (r < 0) {
			if (i == 0)
				return -1;
			errno = saved;
			break;
		}
		vec[i].msg_len = (unsigned int)r;
	}
	return (int)i;
}

/* Into anything else no sendfile goes from a socket. */
static bool is_pipe(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

EXPORT ssize_t sendfile(int out, int in, off_t *pos, size_t n)
{
	ENDPOINT(ep, out);
	int saved = errno;

	if (!ep) {
		if (known(in) && is_pipe(out))
			preload_escape_fd(in, XVMC_R_UNFOLLOWED);
		return REAL(sendfile)(out, in, pos, n);
	}
	if (pos && nowhere(pos, sizeof(*pos)))
		return give(-EFAULT, 0);
	return give(xvmc_sock_sendfile(ep, out, in, pos, n < RW_MAX ? n : RW_MAX),
		    saved);
}

EXPORT ssize_t sendfile64(int out, int in, off64_t *pos, size_t n)
{
	return sendfile(out, in, (off_t *)pos, n);
}

EXPORT ssize_t splice(int in, off64_t *in_pos, int out, off64_t *out_pos, size_t n,
		      unsigned int flags)
{
	if ((known(in) && !preload_escape_fd(in, XVMC_R_UNFOLLOWED)) ||
	    (known(out) && !preload_escape_fd(out, XVMC_R_UNFOLLOWED)))
		return -1;
	return REAL(splice)(in, in_pos, out, out_pos, n, flags);
}

/* ---- other names ---- */

EXPORT __typeof__(read) __read ALIAS_OF(read);
EXPORT __typeof__(write) __write ALIAS_OF(write);
EXPORT __typeof__(send) __send ALIAS_OF(send);
