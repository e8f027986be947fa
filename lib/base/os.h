/* SPDX-License-Identifier: MIT */
/*
 * The one door to the kernel. Inside libxvmc.so the names read, close, poll
 * ... are our own wrappers, so lib/ never calls them: it calls these, which
 * return a result or -errno, touch neither errno nor any lock, are no
 * cancellation points and are safe in a signal handler.
 */
#ifndef XVMC_OS_H
#define XVMC_OS_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>

/* A system call by number. */
long xvmc_os_call(long nr, long a, long b, long c, long d, long e, long f);

#define OS6(nr, a, b, c, d, e, f)                                       \
	xvmc_os_call((nr), (long)(a), (long)(b), (long)(c), (long)(d),  \
		     (long)(e), (long)(f))
#define OS5(nr, a, b, c, d, e) OS6(nr, a, b, c, d, e, 0)
#define OS4(nr, a, b, c, d) OS6(nr, a, b, c, d, 0, 0)
#define OS3(nr, a, b, c) OS6(nr, a, b, c, 0, 0, 0)
#define OS2(nr, a, b) OS6(nr, a, b, 0, 0, 0, 0)
#define OS1(nr, a) OS6(nr, a, 0, 0, 0, 0, 0)
#define OS0(nr) OS6(nr, 0, 0, 0, 0, 0, 0)

static inline ssize_t os_read(int fd, void *buf, size_t n)
{
	return OS3(SYS_read, fd, buf, n);
}

static inline ssize_t os_write(int fd, const void *buf, size_t n)
{
	return OS3(SYS_write, fd, buf, n);
}

static inline ssize_t os_pread(int fd, void *buf, size_t n, off_t pos)
{
	return OS4(SYS_pread64, fd, buf, n, pos);
}

/* Closes a descriptor of our own. */
int os_close(int fd);

static inline ssize_t os_recv(int fd, void *buf, size_t n, int flags)
{
	return OS6(SYS_recvfrom, fd, buf, n, flags, 0, 0);
}

static inline ssize_t os_send(int fd, const void *buf, size_t n, int flags)
{
	return OS6(SYS_sendto, fd, buf, n, flags, 0, 0);
}

static inline ssize_t os_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return OS3(SYS_recvmsg, fd, msg, flags);
}

static inline ssize_t os_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return OS3(SYS_sendmsg, fd, msg, flags);
}

static inline int os_socket(int domain, int type, int protocol)
{
	return (int)OS3(SYS_socket, domain, type, protocol);
}

static inline int os_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	return (int)OS3(SYS_connect, fd, sa, len);
}

static inline int os_shutdown(int fd, int how)
{
	return (int)OS2(SYS_shutdown, fd, how);
}

static inline int os_getsockname(int fd, struct sockaddr *sa, socklen_t *len)
{
	return (int)OS3(SYS_getsockname, fd, sa, len);
}

static inline int os_getpeername(int fd, struct sockaddr *sa, socklen_t *len)
{
	return (int)OS3(SYS_getpeername, fd, sa, len);
}

static inline int os_getsockopt(int fd, int level, int name, void *val,
				socklen_t *len)
{
	return (int)OS5(SYS_getsockopt, fd, level, name, val, len);
}

static inline int os_setsockopt(int fd, int level, int name, const void *val,
				socklen_t len)
{
	return (int)OS5(SYS_setsockopt, fd, level, name, val, len);
}

static inline int os_fcntl(int fd, int cmd, long arg)
{
	return (int)OS3(SYS_fcntl, fd, cmd, arg);
}

static inline int os_ioctl(int fd, unsigned long req, void *arg)
{
	return (int)OS3(SYS_ioctl, fd, req, arg);
}

/* timeout NULL: for ever. sigmask NULL: as it is. */
static inline int os_ppoll(struct pollfd *fds, nfds_t n,
			   const struct timespec *timeout,
			   const sigset_t *sigmask)
{
	struct timespec left;

	if (timeout)
		left = *timeout; /* the kernel writes the rest back */
	return (int)OS5(SYS_ppoll, fds, n, timeout ? &left : NULL, sigmask,
			_NSIG / 8);
}

static inline int os_epoll_create(int flags)
{
	return (int)OS1(SYS_epoll_create1, flags);
}

static inline int os_epoll_ctl(int epfd, int op, int fd,
			       struct epoll_event *ev)
{
	return (int)OS4(SYS_epoll_ctl, epfd, op, fd, ev);
}

static inline int os_epoll_pwait(int epfd, struct epoll_event *evs, int max,
				 int timeout_ms, const sigset_t *sigmask)
{
	return (int)OS6(SYS_epoll_pwait, epfd, evs, max, timeout_ms, sigmask,
			_NSIG / 8);
}

static inline int os_eventfd(unsigned int count, int flags)
{
	return (int)OS2(SYS_eventfd2, count, flags);
}

static inline int os_memfd(const char *name, unsigned int flags)
{
	return (int)OS2(SYS_memfd_create, name, flags);
}

static inline ssize_t os_random(void *buf, size_t n)
{
	return OS3(SYS_getrandom, buf, n, 0);
}

static inline pid_t os_getpid(void)
{
	return (pid_t)OS0(SYS_getpid);
}

static inline pid_t os_gettid(void)
{
	return (pid_t)OS0(SYS_gettid);
}

/* CLOCK_MONOTONIC in nanoseconds (through the vDSO). */
static inline uint64_t os_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Takes what an eventfd holds without ever blocking, even where it is in
 * blocking mode and another thread was faster. */
static inline void os_eventfd_drain(int fd)
{
	uint64_t n;
	struct iovec vec = { .iov_base = &n, .iov_len = sizeof(n) };

	OS6(SYS_preadv2, fd, &vec, 1, -1L, -1L, RWF_NOWAIT);
}

static inline void os_eventfd_ring(int fd)
{
	uint64_t one = 1;

	os_write(fd, &one, sizeof(one));
}

/*
 * Moves an internal descriptor out of the application's way: to a high
 * number, beyond its limit if that may be raised, CLOEXEC. Consumes fd whatever
 * happens. Returns the new number, or -errno (-EMFILE) with fd closed.
 */
int xvmc_os_high_fd(int fd);
/* The same for a duplicate; fd stays. */
int xvmc_os_dup_high(int fd);
/* In a forked child. */
void xvmc_os_fork_child(void);

/* True for a descriptor that xvmc_os_high_fd gave out and os_close has not
 * closed: the application cannot mean it. The table behind it is the one
 * mutable global of lib/: descriptors are one namespace for the process. */
int xvmc_os_fd_internal(int fd);

/* How long the kernel's table of descriptors would be without ours, about: what
 * it was before, or what the program's highest number now makes of it. 0: we
 * have none. */
unsigned int xvmc_os_own_table(void);

/* The process's system calls were filtered (seccomp) when that was first asked, or
 * a number of ours first made: one that its author did not think of may kill. */
bool xvmc_os_filtered(void);

/* The machine's processors, at least 1. */
int xvmc_os_ncpu(void);

#endif
