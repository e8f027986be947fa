/* SPDX-License-Identifier: MIT */
/* Handlers set by the signal() of a library that stands before libc and calls
 * sigaction() itself, as libtsan does. */
#include "conf.h"

static volatile sig_atomic_t ran;

static void handler(int sig)
{
	(void)sig;
	ran = ran + 1;
}

static void show(const char *how, void (*was)(int))
{
	struct sigaction sa;

	ran = 0;
	raise(SIGUSR1);
	if (sigaction(SIGUSR1, NULL, &sa) < 0)
		conf_die("sigaction");
	conf_say("%s: was %s, ran %d, now %s, flags %#x", how,
		 was == SIG_ERR ? "error" : was == SIG_DFL ? "default" : was == handler ? "ours" : "another",
		 (int)ran, sa.sa_handler == SIG_DFL ? "default" : sa.sa_handler == handler ? "ours" : "another",
		 (unsigned int)sa.sa_flags & ~0x04000000u);
}

int main(void)
{
	int a, b;

	alarm(20);
	show("signal", signal(SIGUSR1, handler));
	show("signal", signal(SIGUSR1, handler));
	conf_pair(&a, &b);
	show("signal", signal(SIGUSR1, handler));
	show("sysv_signal", sysv_signal(SIGUSR1, handler));
	conf_trip(a, b);
	return 0;
}
