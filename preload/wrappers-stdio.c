/* SPDX-License-Identifier: MIT */
/*
 * Wrappers: stdio. A FILE reads and writes inside libc, without coming by the
 * wrappers: a connection that gets one goes to TCP for good first. What dprintf
 * writes can be had from libc as text, and goes the ordinary way.
 */
#include <stdio.h>
#include <stdlib.h>

#include "preload.h"

/* As vasprintf, with what fortification checks. libc declares it nowhere. */
int __vasprintf_chk(char **ret, int flag, const char *fmt, va_list ap);

EXPORT FILE *fdopen(int fd, const char *mode)
{
	struct xvmc_ctx *ctx = the_ctx();
	int saved = errno;
	FILE *f;

	if (ctx) /* fclose() will close it unseen */
		xvmc_fd_made(ctx, fd, 0);
	if (!known(fd) || !tables_are_ours(ctx))
		return REAL(fdopen)(fd, mode);
	preload_escape_fd(fd, XVMC_R_UNFOLLOWED);
	f = REAL(fdopen)(fd, mode);
	if (f) {
		xvmc_sock_forget(ctx, fd);
		errno = saved;
	}
	return f;
}

static void text_free(char **text)
{
	free(*text);
}

/* All n bytes, as libc would: -1 where any of them could not be written. */
static int put(int fd, const char *text, int n)
{
	for (int done = 0; done < n;) {
		ssize_t r = write(fd, text + done, (size_t)(n - done));

		if (r < 0)
			return -1;
		done += (int)r;
	}
	return n;
}

EXPORT int vdprintf(int fd, const char *fmt, va_list ap)
{
	char *text __attribute__((cleanup(text_free))) = NULL;
	int n;

	if (!known(fd))
		return REAL(vdprintf)(fd, fmt, ap);
	n = vasprintf(&text, fmt, ap);
	if (n < 0)
		text = NULL;
	return put(fd, text, n);
}

EXPORT int __vdprintf_chk(int fd, int flag, const char *fmt, va_list ap)
{
	char *text __attribute__((cleanup(text_free))) = NULL;
	int n;

	if (!known(fd))
		return REAL(__vdprintf_chk)(fd, flag, fmt, ap);
	n = __vasprintf_chk(&text, flag, fmt, ap);
	if (n < 0)
		text = NULL;
	return put(fd, text, n);
}

EXPORT int dprintf(int fd, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vdprintf(fd, fmt, ap);
	va_end(ap);
	return r;
}

EXPORT int __dprintf_chk(int fd, int flag, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = __vdprintf_chk(fd, flag, fmt, ap);
	va_end(ap);
	return r;
}
