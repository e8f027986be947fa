/* SPDX-License-Identifier: MIT */
/*
 * A library between the program and libc, whose signal() and its kin call
 * sigaction(), by name, as a sanitizer's do: where another library stands before
 * it, the call comes back to that one. For signal-behind.c.
 */
#include <signal.h>

typedef void (*handler)(int);

static handler bind_to(int sig, handler fn, int flags)
{
	struct sigaction sa = { .sa_handler = fn, .sa_flags = flags }, old;

	return sigaction(sig, &sa, &old) == 0 ? old.sa_handler : SIG_ERR;
}

handler signal(int sig, handler fn)
{
	return bind_to(sig, fn, SA_RESTART);
}

handler sysv_signal(int sig, handler fn)
{
	return bind_to(sig, fn, (int)(SA_RESETHAND | SA_NODEFER));
}
