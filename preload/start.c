/* SPDX-License-Identifier: MIT */
/*
 * The library's beginning and end in a process, and its one global pointer.
 * Stages: see bind.c.
 */
#include <pthread.h>
#include <sys/auxv.h>

#include "preload.h"

_Atomic(struct xvmc_ctx *) preload_ctx;

static struct xvmc_ctx the_context;

static void fork_prepare(void)
{
	struct xvmc_ctx *ctx = the_ctx();

	if (ctx)
		xvmc_ctx_fork_prepare(ctx);
}

static void fork_parent(void)
{
	struct xvmc_ctx *ctx = the_ctx();

	if (ctx)
		xvmc_ctx_fork_parent(ctx);
}

static void fork_child(void)
{
	struct xvmc_ctx *ctx = the_ctx();

	preload_signals_fork_child();
	if (ctx)
		xvmc_ctx_fork_child(ctx);
}

static bool enabled(void)
{
	int saved = errno;
	struct xvmc_libc libc = {
		.read = REAL(read),
		.recvmsg = REAL(recvmsg),
		.sendmsg = REAL(sendmsg),
		.recv = REAL(recv),
		.send = REAL(send),
		.ppoll = REAL(ppoll),
		.epoll_pwait = REAL(epoll_pwait),
	};

	/* A program that gains privileges gets no ring: who could hand us
	 * memory is not who we run as. (ld.so preloads us there only from
	 * trusted directories anyway.) */
	if (getauxval(AT_SECURE))
		return false;
	if (xvmc_ctx_init(&the_context, &libc) < 0 || !the_context.opt.enable)
		return false;
	if (pthread_atfork(fork_prepare, fork_parent, fork_child) != 0)
		return false;
	errno = saved;
	return true;
}

/* What ld.so hands to constructors is the program's own, as the kernel left it. */
__attribute__((constructor)) static void start(int argc, char **argv)
{
	struct xvmc_ctx *ctx = enabled() ? &the_context : NULL;
	int saved = errno;

	preload_executed(argc, argv, ctx);
	atomic_store_explicit(&preload_ctx, ctx, memory_order_release);
	errno = saved;
}

/* exit() and the end of main. Other destructors may still use sockets: the
 * context stays. */
__attribute__((destructor)) static void finish(void)
{
	struct xvmc_ctx *ctx = the_ctx();
	int saved = errno;

	if (ctx)
		xvmc_ctx_exit(ctx);
	errno = saved;
}

static bool escaped(int r, int saved)
{
	errno = r < 0 ? ECONNRESET : saved;
	return r == 0;
}

bool preload_escape(struct xvmc_endpoint *ep, enum xvmc_reason why)
{
	int saved = errno;

	return escaped(xvmc_sock_escape(ep, why), saved);
}

bool preload_escape_here(struct xvmc_endpoint *ep, enum xvmc_reason why)
{
	int saved = errno;

	return escaped(xvmc_sock_escape_here(ep, why), saved);
}

bool preload_escape_fd(int fd, enum xvmc_reason why)
{
	ENDPOINT(ep, fd);

	return !ep || !tables_are_ours(the_ctx()) || preload_escape(ep, why);
}

void preload_at_stdio(int fd, int number)
{
	ENDPOINT(ep, fd);
	int saved = errno;

	if (ep && tables_are_ours(the_ctx()))
		xvmc_sock_stdio(ep, number);
	errno = saved;
}

void preload_off_stdio(int number)
{
	int saved = errno;

	if (tables_are_ours(the_ctx()))
		xvmc_sock_left_stdio(the_ctx(), number);
	errno = saved;
}

void preload_fresh(int fd)
{
	int saved = errno;

	if (known(fd) && tables_are_ours(the_ctx()))
		xvmc_sock_forget(the_ctx(), fd);
	errno = saved;
}
