/* SPDX-License-Identifier: MIT */
/*
 * Binding libc's own functions, in stages. The wrappers are live from the
 * moment the dynamic linker has relocated us, long before our constructor:
 *
 *   1. Relocation, IFUNC resolvers: no wrapper is called by anything we know
 *      of; if one were, dlsym might not be ready. Nothing to be done.
 *   2. Constructors of other libraries, before ours: dlsym works, there is no
 *      context, every wrapper goes straight to libc's function. Legal: dlsym.
 *   3. Our constructor (start.c) makes the context. Legal: everything that
 *      starts no thread and opens no descriptor.
 *   4. main. The first worthy connection starts the service thread.
 *   5. Our destructor: xvmc_ctx_exit. The wrappers stay live after it.
 *
 * At every stage dlsym may allocate, and the allocator (jemalloc, tcmalloc, a
 * sanitizer's) may read /proc or poll and so call a wrapper whose symbol is
 * being bound: such a call inside a binding goes to the kernel itself. A
 * signal handler may do the same. Binding takes no lock: two threads find the
 * same address and store it twice.
 */
#include "bind.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/os.h"

_Atomic(sym_any) bind_table[SYM_COUNT];

static const char *const names[SYM_COUNT] = {
#define XVMC_SYM(ret, name, params, group, text) #name,
#define XVMC_ALIAS(name, target)
#include "symbols.def"
#undef XVMC_SYM
#undef XVMC_ALIAS
};

/* ---- the kernel itself ---- */

static long give(long r)
{
	if (r < 0) {
		errno = (int)-r;
		return -1;
	}
	return r;
}

static ssize_t raw_read(int fd, void *buf, size_t n)
{
	return give(OS3(SYS_read, fd, buf, n));
}

static ssize_t raw_readv(int fd, const struct iovec *vec, int cnt)
{
	return give(OS3(SYS_readv, fd, vec, cnt));
}

static ssize_t raw_write(int fd, const void *buf, size_t n)
{
	return give(OS3(SYS_write, fd, buf, n));
}

static ssize_t raw_writev(int fd, const struct iovec *vec, int cnt)
{
	return give(OS3(SYS_writev, fd, vec, cnt));
}

static int raw_openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	long mode;

	va_start(ap, flags);
	mode = va_arg(ap, long);
	va_end(ap);
	return (int)give(OS4(SYS_openat, dir, path, flags, mode));
}

static int raw_open(const char *path, int flags, ...)
{
	va_list ap;
	long mode;

	va_start(ap, flags);
	mode = va_arg(ap, long);
	va_end(ap);
	return raw_openat(AT_FDCWD, path, flags, mode);
}

static int raw_pipe2(int *fds, int flags)
{
	return (int)give(OS2(SYS_pipe2, fds, flags));
}

static int raw_close(int fd)
{
	return (int)give(OS1(SYS_close, fd));
}

static int raw_dup(int fd)
{
	return (int)give(OS1(SYS_dup, fd));
}

static int raw_dup3(int fd, int to, int flags)
{
	return (int)give(OS3(SYS_dup3, fd, to, flags));
}

static int raw_fcntl(int fd, int cmd, ...)
{
	va_list ap;
	long arg;

	va_start(ap, cmd);
	arg = va_arg(ap, long);
	va_end(ap);
	return (int)give(OS3(SYS_fcntl, fd, cmd, arg));
}

static int raw_ioctl(int fd, unsigned long req, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, req);
	arg = va_arg(ap, void *);
	va_end(ap);
	return (int)give(OS3(SYS_ioctl, fd, req, arg));
}

static int raw_poll(struct pollfd *fds, nfds_t n, int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	return (int)give(os_ppoll(fds, n, ms < 0 ? NULL : &ts, NULL));
}

static int raw_ppoll(struct pollfd *fds, nfds_t n, const struct timespec *ts,
		     const sigset_t *mask)
{
	return (int)give(os_ppoll(fds, n, ts, mask));
}

static int raw_socket(int domain, int type, int protocol)
{
	return (int)give(OS3(SYS_socket, domain, type, protocol));
}

static int raw_connect(int fd, const struct sockaddr *sa, socklen_t len)
{
	return (int)give(OS3(SYS_connect, fd, sa, len));
}

static ssize_t raw_sendto(int fd, const void *buf, size_t n, int flags,
			  const struct sockaddr *sa, socklen_t len)
{
	return give(OS6(SYS_sendto, fd, buf, n, flags, sa, len));
}

static ssize_t raw_send(int fd, const void *buf, size_t n, int flags)
{
	return give(OS6(SYS_sendto, fd, buf, n, flags, 0, 0));
}

static ssize_t raw_recvfrom(int fd, void *buf, size_t n, int flags,
			    struct sockaddr *sa, socklen_t *len)
{
	return give(OS6(SYS_recvfrom, fd, buf, n, flags, sa, len));
}

static ssize_t raw_recv(int fd, void *buf, size_t n, int flags)
{
	return give(OS6(SYS_recvfrom, fd, buf, n, flags, 0, 0));
}

static ssize_t raw_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return give(OS3(SYS_sendmsg, fd, msg, flags));
}

static ssize_t raw_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return give(OS3(SYS_recvmsg, fd, msg, flags));
}

static int raw_epoll_pwait(int epfd, struct epoll_event *evs, int max, int ms,
			   const sigset_t *mask)
{
	return (int)give(os_epoll_pwait(epfd, evs, max, ms, mask));
}

static long raw_syscall(long nr, ...)
{
	va_list ap;
	long a[6];

	va_start(ap, nr);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	return give(xvmc_os_call(nr, a[0], a[1], a[2], a[3], a[4], a[5]));
}

static void raw_exit(int status)
{
	for (;;)
		OS1(SYS_exit_group, status);
}

/* A libc that lacks the function. */
static long raw_missing(void)
{
	errno = ENOSYS;
	return -1;
}

static void *raw_missing_ptr(void)
{
	errno = ENOSYS;
	return NULL;
}

static const sym_any raw[SYM_COUNT] = {
#define RAW(name) [SYM_##name] = (sym_any)raw_##name
	RAW(read), RAW(readv), RAW(write), RAW(writev), RAW(close), RAW(dup),
	RAW(dup3), RAW(fcntl), RAW(ioctl), RAW(poll), RAW(ppoll), RAW(socket),
	RAW(connect), RAW(sendto), RAW(send), RAW(recvfrom), RAW(recv),
	RAW(sendmsg), RAW(recvmsg), RAW(epoll_pwait), RAW(syscall), RAW(open),
	RAW(openat), RAW(pipe2),
#undef RAW
	[SYM_fcntl64] = (sym_any)raw_fcntl,
	[SYM_open64] = (sym_any)raw_open,
	[SYM_openat64] = (sym_any)raw_openat,
	[SYM__exit] = (sym_any)raw_exit,
	[SYM__Exit] = (sym_any)raw_exit,
	[SYM_quick_exit] = (sym_any)raw_exit,
	[SYM_fdopen] = (sym_any)raw_missing_ptr,
	[SYM_popen] = (sym_any)raw_missing_ptr,
};

/* ---- binding ---- */

/* Initial-exec: reaching it never allocates. We are preloaded, so there is
 * always room in the static block. */
static __thread int binding __attribute__((tls_model("initial-exec")));

/* What to use from now on; NULL: libc lacks it. */
static sym_any look_up(enum sym sym)
{
	const char *trap = secure_getenv("XVMC_TRAP");
	sym_any f = trap && *trap && strcmp(trap, "0") != 0 ? bind_own(sym) : NULL;

	if (!f)
		*(void **)&f = dlsym(RTLD_NEXT, names[sym]);
	return f;
}

sym_any bind_symbol(enum sym sym)
{
	sym_any f = NULL;

	if (!binding) {
		int saved = errno;

		binding = 1;
		f = look_up(sym);
		binding = 0;
		errno = saved;
		if (f) {
			atomic_store_explicit(&bind_table[sym], f,
					      memory_order_release);
			return f;
		}
	}
	return raw[sym] ? raw[sym] : (sym_any)raw_missing;
}
