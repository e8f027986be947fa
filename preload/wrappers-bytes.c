/* SPDX-License-Identifier: MIT */
/*
 * Wrappers: the calls that move bytes.
 */
#include <limits.h>
#include <string.h>

#include "preload.h"

/* What the kernel moves in one call. */
#define RW_MAX ((size_t)0x7ffff000)

/* These leave the byte stream for what only TCP can do. */
#define RECV_ESCAPE (MSG_OOB | MSG_ERRQUEUE)
#define SEND_ESCAPE (MSG_OOB | MSG_ZEROCOPY)

/* MSG_TRUNC of a stream: the bytes are thrown away, the buffer may be NULL. */
static ssize_t recv_discard(struct xvmc_endpoint *ep, int fd, const struct iovec *vec,
			    size_t cnt, int flags, int *ret_msg_flags)
{
	size_t left = xvmc_iov_make(vec, cnt).left;
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

static ssize_t do_recv(struct xvmc_endpoint *ep, int fd, const struct iovec *vec,
		       size_t cnt, int flags, int *ret_msg_flags)
{
	int saved = errno;

	if (flags & MSG_TRUNC)
		return give(recv_discard(ep, fd, vec, cnt, flags, ret_msg_flags),
			    saved);
	return give(xvmc_sock_recv(ep, fd, vec, cnt, flags, ret_msg_flags), saved);
}

static ssize_t recv1(struct xvmc_endpoint *ep, int fd, void *buf, size_t n, int flags)
{
	struct iovec vec = { buf, n < RW_MAX ? n : RW_MAX };
	int msg_flags;

	return do_recv(ep, fd, &vec, 1, flags, &msg_flags);
}

static ssize_t do_send(struct xvmc_endpoint *ep, int fd, const struct iovec *vec,
		       size_t cnt, int flags)
{
	int saved = errno;

	return give(xvmc_sock_send(ep, fd, vec, cnt, flags), saved);
}

static ssize_t send1(struct xvmc_endpoint *ep, int fd, const void *buf, size_t n,
		     int flags)
{
	struct iovec vec = { (void *)(uintptr_t)buf, n < RW_MAX ? n : RW_MAX };

	return do_send(ep, fd, &vec, 1, flags);
}

/* readv's and writev's own checks; -1 with errno, or 0. */
static int check_vec(const struct iovec *vec, int cnt)
{
	size_t sum = 0;

	if (cnt < 0 || cnt > IOV_MAX) {
		errno = EINVAL;
		return -1;
	}
	for (int i = 0; i < cnt; i++) {
		if (vec[i].iov_len > SSIZE_MAX - sum) {
			errno = EINVAL;
			return -1;
		}
		sum += vec[i].iov_len;
	}
	return 0;
}

/* recvmsg's and sendmsg's: too many pieces are EMSGSIZE there. */
static int check_msg(const struct msghdr *msg)
{
	if (msg->msg_iovlen > IOV_MAX) {
		errno = EMSGSIZE;
		return -1;
	}
	return check_vec(msg->msg_iov, (int)msg->msg_iovlen);
}

/* ---- reading ---- */

EXPORT ssize_t read(int fd, void *buf, size_t n)
{
	ENDPOINT(ep, fd);

	/* Nothing asked, nothing looked at: read's own, unlike recv's. */
	if (!ep || n == 0)
		return REAL(read)(fd, buf, n);
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
	int msg_flags;

	if (!ep || cnt == 0)
		return REAL(readv)(fd, vec, cnt);
	if (check_vec(vec, cnt) < 0)
		return -1;
	return do_recv(ep, fd, vec, (size_t)cnt, 0, &msg_flags);
}

EXPORT ssize_t preadv2(int fd, const struct iovec *vec, int cnt, off_t pos, int flags)
{
	ENDPOINT(ep, fd);
	int msg_flags;

	if (!ep || pos != -1 || cnt == 0 || (flags & ~RWF_NOWAIT))
		return REAL(preadv2)(fd, vec, cnt, pos, flags);
	if (check_vec(vec, cnt) < 0)
		return -1;
	return do_recv(ep, fd, vec, (size_t)cnt, flags ? MSG_DONTWAIT : 0,
		       &msg_flags);
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
		preload_escape(ep, XVMC_R_UNFOLLOWED);
		return REAL(recv)(fd, buf, n, flags);
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
		preload_escape(ep, XVMC_R_UNFOLLOWED);
		return REAL(recvfrom)(fd, buf, n, flags, sa, len);
	}
	r = recv1(ep, fd, buf, n, flags);
	/* A stream has no source address. */
	if (r >= 0 && sa && len)
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

	if (!ep || !msg)
		return REAL(recvmsg)(fd, msg, flags);
	if (flags & RECV_ESCAPE) {
		preload_escape(ep, XVMC_R_UNFOLLOWED);
		return REAL(recvmsg)(fd, msg, flags);
	}
	if (check_msg(msg) < 0)
		return -1;
	r = do_recv(ep, fd, msg->msg_iov, msg->msg_iovlen,
		    flags & ~MSG_CMSG_CLOEXEC, &msg_flags);
	if (r >= 0) {
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
		clock_gettime(CLOCK_MONOTONIC, &end);
		end.tv_sec += timeout->tv_sec;
		end.tv_nsec += timeout->tv_nsec;
		end.tv_sec += end.tv_nsec / 1000000000;
		end.tv_nsec %= 1000000000;
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
	return send1(ep, fd, buf, n, 0);
}

EXPORT ssize_t writev(int fd, const struct iovec *vec, int cnt)
{
	ENDPOINT(ep, fd);

	if (!ep)
		return REAL(writev)(fd, vec, cnt);
	if (check_vec(vec, cnt) < 0)
		return -1;
	return do_send(ep, fd, vec, (size_t)cnt, 0);
}

EXPORT ssize_t pwritev2(int fd, const struct iovec *vec, int cnt, off_t pos, int flags)
{
	ENDPOINT(ep, fd);

	if (!ep || pos != -1 || (flags & ~RWF_NOWAIT))
		return REAL(pwritev2)(fd, vec, cnt, pos, flags);
	if (check_vec(vec, cnt) < 0)
		return -1;
	return do_send(ep, fd, vec, (size_t)cnt, flags ? MSG_DONTWAIT : 0);
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
		preload_escape(ep, XVMC_R_UNFOLLOWED);
		return REAL(send)(fd, buf, n, flags);
	}
	return send1(ep, fd, buf, n, flags);
}

/* An address on a connected stream: the kernel ignores it, so do we. */
EXPORT ssize_t sendto(int fd, const void *buf, size_t n, int flags,
		      const struct sockaddr *sa, socklen_t len)
{
	ENDPOINT(ep, fd);

	if (!ep)
		return REAL(sendto)(fd, buf, n, flags, sa, len);
	if (flags & SEND_ESCAPE) {
		preload_escape(ep, XVMC_R_UNFOLLOWED);
		return REAL(sendto)(fd, buf, n, flags, sa, len);
	}
	return send1(ep, fd, buf, n, flags);
}

/* Descriptors of connections that travel in msg leave our sight. */
static void escape_passed(const struct msghdr *msg)
{
	if (!the_ctx() || !msg->msg_control)
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

	if (!ep || !msg) {
		if (msg && msg->msg_controllen)
			escape_passed(msg);
		return REAL(sendmsg)(fd, msg, flags);
	}
	/* Control messages of a stream are instructions to the kernel. */
	if ((flags & SEND_ESCAPE) || msg->msg_controllen) {
		preload_escape(ep, XVMC_R_UNFOLLOWED);
		return REAL(sendmsg)(fd, msg, flags);
	}
	if (check_msg(msg) < 0)
		return -1;
	return do_send(ep, fd, msg->msg_iov, msg->msg_iovlen, flags);
}

EXPORT int sendmmsg(int fd, struct mmsghdr *vec, unsigned int cnt, int flags)
{
	unsigned int i;

	if (!known(fd)) {
		for (i = 0; i < cnt; i++)
			if (vec[i].msg_hdr.msg_controllen)
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

EXPORT ssize_t sendfile(int out, int in, off_t *pos, size_t n)
{
	ENDPOINT(ep, out);
	int saved = errno;

	if (!ep)
		return REAL(sendfile)(out, in, pos, n);
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
	if (known(in))
		preload_escape_fd(in, XVMC_R_UNFOLLOWED);
	if (known(out))
		preload_escape_fd(out, XVMC_R_UNFOLLOWED);
	return REAL(splice)(in, in_pos, out, out_pos, n, flags);
}

/* ---- other names ---- */

EXPORT __typeof__(read) __read ALIAS_OF(read);
EXPORT __typeof__(write) __write ALIAS_OF(write);
EXPORT __typeof__(send) __send ALIAS_OF(send);
