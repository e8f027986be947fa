/* SPDX-License-Identifier: MIT */
/*
 * Wrappers: files, pipes and pairs. Nothing happens to them; but a program may
 * count on the lowest free number, and one of ours may be there for a moment
 * (base/numbers.h). A new number also says that what had it before is past.
 */
#include <fcntl.h>

#include "base/unwind.h"
#include "preload.h"

/* A wrapper's body. To open may take its time, and may be cancelled. */
#define OPEN(call)                                                   \
	bool in = false;                                             \
	struct unwind u;                                             \
	int fd;                                                      \
								     \
	unwind_push(&u, preload_used, &in);                          \
	preload_use(&in);                                            \
	fd = (call);                                                 \
	unwind_pop(&u, 1);                                           \
	return preload_new(fd)

/* The mode is there only where a file may be made. */
#define MODE(flags, mode)                                            \
	do {                                                         \
		va_list ap;                                          \
								     \
		va_start(ap, flags);                                 \
		if ((flags) & (O_CREAT | __O_TMPFILE))               \
			mode = va_arg(ap, mode_t);                   \
		va_end(ap);                                          \
	} while (0)

EXPORT int open(const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE(flags, mode);
	OPEN(REAL(open)(path, flags, mode));
}

EXPORT int open64(const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE(flags, mode);
	OPEN(REAL(open64)(path, flags, mode));
}

EXPORT int openat(int dir, const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE(flags, mode);
	OPEN(REAL(openat)(dir, path, flags, mode));
}

EXPORT int openat64(int dir, const char *path, int flags, ...)
{
	mode_t mode = 0;

	MODE(flags, mode);
	OPEN(REAL(openat64)(dir, path, flags, mode));
}

EXPORT int creat(const char *path, mode_t mode)
{
	OPEN(REAL(creat)(path, mode));
}

EXPORT int creat64(const char *path, mode_t mode)
{
	OPEN(REAL(creat64)(path, mode));
}

static int two(int r, const int fds[2])
{
	if (r == 0) {
		preload_new(fds[0]);
		preload_new(fds[1]);
	}
	return r;
}

EXPORT int pipe2(int fds[2], int flags)
{
	int r;

	xvmc_numbers_use();
	r = REAL(pipe2)(fds, flags);
	xvmc_numbers_used();
	return two(r, fds);
}

EXPORT int pipe(int fds[2])
{
	return pipe2(fds, 0);
}

EXPORT int socketpair(int domain, int type, int protocol, int fds[2])
{
	int r;

	xvmc_numbers_use();
	r = REAL(socketpair)(domain, type, protocol, fds);
	xvmc_numbers_used();
	return two(r, fds);
}
