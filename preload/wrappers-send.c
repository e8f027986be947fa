/* SPDX-License-Identifier: MIT */
/*
 * Wrappers: the calls that write bytes, and those that move them from one
 * descriptor to another.
 */
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#include "preload.h"

/* These leave the byte stream for what only TCP can do. */
#define SEND_ESCAPE (MSG_OOB | MSG_ZEROCOPY | MSG_FASTOPEN)

/* ---- to lib/socket ---- */

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

static ssize_t send_short(int fd, const void *buf, size_t n, int flags)
{
	return short_way(fd, buf, n, flags, xvmc_ep_send_now, xvmc_sock_send);
}

/* ---- the calls ---- */

static ssize_t __attribute__((noinline)) write_any(int fd, const void *buf, size_t n)
{
	ENDPOINT(ep, fd);

	if (!ep)
		return REAL(write)(fd, buf, n);
	BARE_SEND(ep, REAL(write)(fd, buf, n));
	if (outside(buf, n))
		return give(-EFAULT, 0);
	return send1(ep, fd, buf, n, 0);
}

EXPORT ssize_t write(int fd, const void *buf, size_t n)
{
	ssize_t r = send_short(fd, buf, n, 0);

	return r != NOT_THIS_WAY ? r : write_any(fd, buf, n);
}

EXPORT ssize_t writev(int fd, const struct iovec *vec, int cnt)
{
	ENDPOINT(ep, fd);
	int r;

	if (!ep)
		return REAL(writev)(fd, vec, cnt);
	BARE_SEND(ep, REAL(writev)(fd, vec, cnt));
	r = check_vec(vec, cnt);
	if (r < 0 || !vec_bytes(vec, cnt))
		return give(r, errno);
	return do_send(ep, fd, vec, (size_t)cnt, 0);
}

EXPORT ssize_t pwritev2(int fd, const struct iovec *vec, int cnt, off_t pos, int flags)
{
	ENDPOINT(ep, fd);
	int r;

	if (!ep || pos != -1)
		return REAL(pwritev2)(fd, vec, cnt, pos, flags);
	if (flags & ~RWF_RING) {
		return preload_escape_here(ep, XVMC_R_UNFOLLOWED) ?
			       REAL(pwritev2)(fd, vec, cnt, pos, flags) :
			       -1;
	}
	r = check_vec(vec, cnt);
	if (r < 0 || !vec_bytes(vec, cnt))
		return give(r, errno);
	return do_send(ep, fd, vec, (size_t)cnt, flags & RWF_NOWAIT ? MSG_DONTWAIT : 0);
}

EXPORT ssize_t pwritev64v2(int fd, const struct iovec *vec, int cnt, off64_t pos,
			   int flags)
{
	return pwritev2(fd, vec, cnt, pos, flags);
}

static ssize_t __attribute__((noinline))
send_any(int fd, const void *buf, size_t n, int flags)
{
	ENDPOINT(ep, fd);

	if (!ep)
		return REAL(send)(fd, buf, n, flags);
	BARE_SEND(ep, REAL(send)(fd, buf, n, flags));
	if (flags & SEND_ESCAPE) {
		return preload_escape_here(ep, XVMC_R_UNFOLLOWED) ?
			       REAL(send)(fd, buf, n, flags) :
			       -1;
	}
	return send1(ep, fd, buf, n, flags);
}

EXPORT ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	ssize_t r = send_short(fd, buf, n, flags);

	return r != NOT_THIS_WAY ? r : send_any(fd, buf, n, flags);
}

/* An address on a connected stream: the kernel ignores it, so do we. */
EXPORT ssize_t sendto(int fd, const void *buf, size_t n, int flags,
		      const struct sockaddr *sa, socklen_t len)
{
	ENDPOINT(ep, fd);
	int r;

	if (!ep)
		return REAL(sendto)(fd, buf, n, flags, sa, len);
	BARE_SEND(ep, REAL(sendto)(fd, buf, n, flags, sa, len));
	if (flags & SEND_ESCAPE) {
		return preload_escape_here(ep, XVMC_R_UNFOLLOWED) ?
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
	BARE_SEND(ep, REAL(sendmsg)(fd, msg, flags));
	if (nowhere(msg, sizeof(*msg)))
		return give(-EFAULT, 0);
	/* Control messages of a stream are instructions to the kernel. */
	if ((flags & SEND_ESCAPE) || msg->msg_controllen) {
		return preload_escape_here(ep, XVMC_R_UNFOLLOWED) ?
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

/* Out of a connection into a pipe. False: the call is the kernel's. */
static bool into_pipe(int in, int out, size_t n, bool wait, ssize_t *ret_r)
{
	ENDPOINT(ep, in);
	int flags = ep ? os_fcntl(out, F_GETFL, 0) : 0;
	int saved = errno;
	bool kernels;
	ssize_t r;

	if (!ep || !n || !is_pipe(out) || (flags & O_ACCMODE) == O_RDONLY ||
	    !tables_are_ours(the_ctx()))
		return false;
	wait = wait && !(flags & O_NONBLOCK) && !ep->nonblock;
	r = xvmc_sock_splice(ep, in, out, n, wait, &kernels);
	*ret_r = give(r, saved);
	return !kernels || r < 0;
}

EXPORT ssize_t sendfile(int out, int in, off_t *pos, size_t n)
{
	ENDPOINT(ep, out);
	int saved = errno;
	ssize_t r;

	if (!ep) {
		if (known(in) && !pos && into_pipe(in, out, n, true, &r))
			return r;
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
	ENDPOINT(to, out);
	ssize_t r;

	if (known(in) && !in_pos && !out_pos &&
	    into_pipe(in, out, n, !(flags & SPLICE_F_NONBLOCK), &r))
		return r;
	if ((known(in) && !preload_escape_fd(in, XVMC_R_UNFOLLOWED)) ||
	    (to && !preload_escape_here(to, XVMC_R_UNFOLLOWED)))
		return -1;
	return REAL(splice)(in, in_pos, out, out_pos, n, flags);
}

EXPORT __typeof__(write) __write ALIAS_OF(write);
EXPORT __typeof__(send) __send ALIAS_OF(send);
