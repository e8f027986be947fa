/* SPDX-License-Identifier: MIT */
/*
 * Wrapper: syscall(). Programs call the kernel by number where they do not
 * trust libc's version of a call (libuv closes every descriptor that way); on
 * a connection that is followed it must mean the same. The kernel's calls
 * differ from libc's in small ways, noted where they matter.
 *
 * io_uring reads and writes behind everybody's back, so under the library
 * there is none: ENOSYS, and programs fall back.
 */
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "preload.h"

#ifndef SYS_io_uring_setup
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#define SYS_io_uring_register 427
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441
#endif

#define FD(i) ((int)a[i])
#define PTR(i) ((void *)a[i])
#define LEN(i) ((size_t)a[i])

static long bytes_call(long nr, const long *a)
{
	switch (nr) {
	case SYS_read:
		return read(FD(0), PTR(1), LEN(2));
	case SYS_write:
		return write(FD(0), PTR(1), LEN(2));
	case SYS_readv:
		return readv(FD(0), PTR(1), (int)a[2]);
	case SYS_writev:
		return writev(FD(0), PTR(1), (int)a[2]);
	case SYS_recvfrom:
		return recvfrom(FD(0), PTR(1), LEN(2), (int)a[3], PTR(4), PTR(5));
	case SYS_sendto:
		return sendto(FD(0), PTR(1), LEN(2), (int)a[3], PTR(4),
			      (socklen_t)a[5]);
	case SYS_recvmsg:
		return recvmsg(FD(0), PTR(1), (int)a[2]);
	case SYS_sendmsg:
		return sendmsg(FD(0), PTR(1), (int)a[2]);
	case SYS_recvmmsg:
		return recvmmsg(FD(0), PTR(1), (unsigned int)a[2], (int)a[3], PTR(4));
	case SYS_sendmmsg:
		return sendmmsg(FD(0), PTR(1), (unsigned int)a[2], (int)a[3]);
	case SYS_preadv2: /* the position comes in two halves */
		return preadv2(FD(0), PTR(1), (int)a[2], a[3], (int)a[5]);
	case SYS_pwritev2:
		return pwritev2(FD(0), PTR(1), (int)a[2], a[3], (int)a[5]);
	case SYS_sendfile:
		return sendfile64(FD(0), FD(1), PTR(2), LEN(3));
	case SYS_splice:
		return splice(FD(0), PTR(1), FD(2), PTR(3), LEN(4),
			      (unsigned int)a[5]);
	}
	return -2;
}

/* The mask of pselect6 comes in a structure. */
static long pselect_call(const long *a)
{
	const struct {
		const sigset_t *mask;
		size_t len;
	} *m = PTR(5);

	if (m && nowhere(m, sizeof(*m)))
		return give(-EFAULT, 0);
	return pselect(FD(0), PTR(1), PTR(2), PTR(3), PTR(4), m ? m->mask : NULL);
}

static long wait_call(long nr, const long *a)
{
	switch (nr) {
#ifdef SYS_poll
	case SYS_poll:
		return poll(PTR(0), (nfds_t)a[1], (int)a[2]);
#endif
	case SYS_ppoll:
		return ppoll(PTR(0), (nfds_t)a[1], PTR(2), PTR(3));
#ifdef SYS_select
	case SYS_select:
		return select(FD(0), PTR(1), PTR(2), PTR(3), PTR(4));
#endif
	case SYS_pselect6:
		return pselect_call(a);
#ifdef SYS_epoll_create
	case SYS_epoll_create:
		return epoll_create((int)a[0]);
#endif
	case SYS_epoll_create1:
		return epoll_create1((int)a[0]);
	case SYS_epoll_ctl:
		return epoll_ctl(FD(0), (int)a[1], FD(2), PTR(3));
#ifdef SYS_epoll_wait
	case SYS_epoll_wait:
		return epoll_wait(FD(0), PTR(1), (int)a[2], (int)a[3]);
#endif
	case SYS_epoll_pwait:
		return epoll_pwait(FD(0), PTR(1), (int)a[2], (int)a[3], PTR(4));
	case SYS_epoll_pwait2:
		return epoll_pwait2(FD(0), PTR(1), (int)a[2], PTR(3), PTR(4));
	}
	return -2;
}

static long life_call(long nr, const long *a)
{
	switch (nr) {
	case SYS_connect:
		return connect(FD(0), PTR(1), (socklen_t)a[2]);
#ifdef SYS_accept
	case SYS_accept:
		return accept(FD(0), PTR(1), PTR(2));
#endif
	case SYS_accept4:
		return accept4(FD(0), PTR(1), PTR(2), (int)a[3]);
	case SYS_shutdown:
		return shutdown(FD(0), (int)a[1]);
	case SYS_close:
		return close(FD(0));
#ifdef SYS_close_range
	case SYS_close_range:
		return close_range((unsigned int)a[0], (unsigned int)a[1], (int)a[2]);
#endif
	case SYS_dup:
		return dup(FD(0));
#ifdef SYS_dup2
	case SYS_dup2:
		return dup2(FD(0), FD(1));
#endif
	case SYS_dup3:
		return dup3(FD(0), FD(1), (int)a[2]);
	case SYS_fcntl:
		return fcntl(FD(0), (int)a[1], a[2]);
	case SYS_ioctl:
		return ioctl(FD(0), (unsigned long)a[1], PTR(2));
	case SYS_getsockopt:
		return getsockopt(FD(0), (int)a[1], (int)a[2], PTR(3), PTR(4));
	case SYS_setsockopt:
		return setsockopt(FD(0), (int)a[1], (int)a[2], PTR(3),
				  (socklen_t)a[4]);
	case SYS_execve:
		return execve(PTR(0), PTR(1), PTR(2));
	case SYS_execveat:
		return execveat(FD(0), PTR(1), PTR(2), PTR(3), (int)a[4]);
	case SYS_unshare:
		return unshare((int)a[0]);
	case SYS_prctl:
		return prctl((int)a[0], a[1], a[2], a[3], a[4]);
	case SYS_seccomp: /* 2 and above only ask */
		if (a[0] < 2)
			preload_confined();
		break;
	case SYS_exit_group:
		_exit((int)a[0]);
	case SYS_io_uring_setup:
	case SYS_io_uring_enter:
	case SYS_io_uring_register:
		errno = ENOSYS;
		return -1;
	}
	return -2;
}

EXPORT long syscall(long nr, ...)
{
	long a[6], r = -2; /* a result no call has: not one of ours */
	va_list ap;

	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (the_ctx()) {
		r = bytes_call(nr, a);
		if (r == -2)
			r = wait_call(nr, a);
		if (r == -2)
			r = life_call(nr, a);
	}
	if (r != -2)
		return r;
	return REAL(syscall)(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
}
