/* SPDX-License-Identifier: MIT */
/*
 * libc's functions once more, by our own hand: under `xvmc-run --trap` every
 * kernel call on a connection comes from this library's code, so that the
 * address a call was made from says whether the library knows of it. Not for
 * anything else: libc's are what programs expect, down to the debugger.
 *
 * What libc makes a cancellation point is one here, in the way libc does it:
 * cancellation is asynchronous while the call is in the kernel.
 */
#include "bind.h"

#include <errno.h>
#include <pthread.h>

#include "base/os.h"

static long give(long r)
{
	if (r < 0) {
		errno = (int)-r;
		return -1;
	}
	return r;
}

static long point(long nr, long a, long b, long c, long d, long e, long f)
{
	int type, ignored;
	long r;

	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	r = xvmc_os_call(nr, a, b, c, d, e, f);
	pthread_setcanceltype(type, &ignored);
	return give(r);
}

#define P6(nr, a, b, c, d, e, f) \
	point(SYS_##nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define P5(nr, a, b, c, d, e) P6(nr, a, b, c, d, e, 0)
#define P4(nr, a, b, c, d) P6(nr, a, b, c, d, 0, 0)
#define P3(nr, a, b, c) P6(nr, a, b, c, 0, 0, 0)

/* ---- bytes ---- */

static ssize_t own_read(int fd, void *buf, size_t n)
{
	return P3(read, fd, buf, n);
}

static ssize_t own_readv(int fd, const struct iovec *vec, int cnt)
{
	return P3(readv, fd, vec, cnt);
}

/* The position in two halves, as 32-bit kernels want it; here the first holds
 * it all. */
static ssize_t own_preadv2(int fd, const struct iovec *vec, int cnt, off_t pos, int flags)
{
	return P6(preadv2, fd, vec, cnt, pos, 0, flags);
}

static ssize_t own_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *sa,
			    socklen_t *len)
{
	return P6(recvfrom, fd, buf, n, flags, sa, len);
}

static ssize_t own_recv(int fd, void *buf, size_t n, int flags)
{
	return P6(recvfrom, fd, buf, n, flags, 0, 0);
}

static ssize_t own_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return P3(recvmsg, fd, msg, flags);
}

static int own_recvmmsg(int fd, struct mmsghdr *vec, unsigned int cnt, int flags,
			struct timespec *timeout)
{
	return (int)P5(recvmmsg, fd, vec, cnt, flags, timeout);
}

static ssize_t own_write(int fd, const void *buf, size_t n)
{
	return P3(write, fd, buf, n);
}

static ssize_t own_writev(int fd, const struct iovec *vec, int cnt)
{
	return P3(writev, fd, vec, cnt);
}

static ssize_t own_pwritev2(int fd, const struct iovec *vec, int cnt, off_t pos, int flags)
{
	return P6(pwritev2, fd, vec, cnt, pos, 0, flags);
}

static ssize_t own_sendto(int fd, const void *buf, size_t n, int flags,
			  const struct sockaddr *sa, socklen_t len)
{
	return P6(sendto, fd, buf, n, flags, sa, len);
}

static ssize_t own_send(int fd, const void *buf, size_t n, int flags)
{
	return P6(sendto, fd, buf, n, flags, 0, 0);
}

static ssize_t own_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return P3(sendmsg, fd, msg, flags);
}

static int own_sendmmsg(int fd, struct mmsghdr *vec, unsigned int cnt, int flags)
{
	return (int)P4(sendmmsg, fd, vec, cnt, flags);
}

static ssize_t own_splice(int in, off64_t *in_pos, int out, off64_t *out_pos, size_t n,
			  unsigned int flags)
{
	return P6(splice, in, in_pos, out, out_pos, n, flags);
}

static ssize_t own_sendfile(int out, int in, off_t *pos, size_t n)
{
	return give(OS4(SYS_sendfile, out, in, pos, n));
}

/* ---- descriptors ---- */

static int own_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	return (int)P3(connect, fd, sa, len);
}

static int own_shutdown(int fd, int how)
{
	return (int)give(OS2(SYS_shutdown, fd, how));
}

static int own_close(int fd)
{
	return (int)P3(close, fd, 0, 0);
}

static int own_dup(int fd)
{
	return (int)give(OS1(SYS_dup, fd));
}

static int own_dup2(int from, int to)
{
	/* arm64 has dup3 only, which refuses what dup2 does not. */
	if (from == to)
		return os_fcntl(from, F_GETFD, 0) < 0 ? (int)give(-EBADF) : to;
	return (int)give(OS3(SYS_dup3, from, to, 0));
}

static int own_dup3(int from, int to, int flags)
{
	return (int)give(OS3(SYS_dup3, from, to, flags));
}

static int own_fcntl(int fd, int cmd, ...)
{
	struct f_owner_ex owner;
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	if (cmd == F_GETOWN) { /* a group's number is negative: no error */
		if (give(os_fcntl(fd, F_GETOWN_EX, (long)&owner)) < 0)
			return -1;
		return owner.type == F_OWNER_PGRP ? -owner.pid : owner.pid;
	}
	return (int)(cmd == F_SETLKW || cmd == F_OFD_SETLKW ?
			     P3(fcntl, fd, cmd, arg) :
			     give(os_fcntl(fd, cmd, arg)));
}

static int own_ioctl(int fd, unsigned long req, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	return (int)give(os_ioctl(fd, req, arg));
}

static int own_setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
	return (int)give(os_setsockopt(fd, level, name, val, len));
}

static int own_epoll_ctl(int epfd, int op, int fd, struct epoll_event *ev)
{
	return (int)give(os_epoll_ctl(epfd, op, fd, ev));
}

static long own_syscall(long nr, ...)
{
	va_list ap;
	long a[6];

	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	return give(xvmc_os_call(nr, a[0], a[1], a[2], a[3], a[4], a[5]));
}

static const sym_any own[SYM_COUNT] = {
#define OWN(name) [SYM_##name] = (sym_any)own_##name
	OWN(read),
	OWN(readv),
	OWN(preadv2),
	OWN(recvfrom),
	OWN(recv),
	OWN(recvmsg),
	OWN(recvmmsg),
	OWN(write),
	OWN(writev),
	OWN(pwritev2),
	OWN(sendto),
	OWN(send),
	OWN(sendmsg),
	OWN(sendmmsg),
	OWN(splice),
	OWN(sendfile),
	OWN(connect),
	OWN(shutdown),
	OWN(close),
	OWN(dup),
	OWN(dup2),
	OWN(dup3),
	OWN(fcntl),
	OWN(ioctl),
	OWN(setsockopt),
	OWN(epoll_ctl),
	OWN(syscall),
#undef OWN
	[SYM_fcntl64] = (sym_any)own_fcntl,
};

sym_any bind_own(enum sym sym)
{
	return own[sym];
}
