/* SPDX-License-Identifier: MIT */
/* sigset: it says what there was, or that the signal was held, and lets it
 * through again. */
#include "conf.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

static volatile sig_atomic_t ran;

static void handler(int sig)
{
	(void)sig;
	ran = ran + 1;
}

static void set(const char *what, int sig, void (*fn)(int))
{
	void (*was)(int) = sigset(sig, fn);
	int error = errno;
	sigset_t now;

	conf_say("%s: was %s", what, was == SIG_HOLD ? "held" : was == SIG_DFL ? "default" :
		 was == SIG_IGN ? "ignored" : was == handler ? "handler" :
		 was == SIG_ERR ? strerrorname_np(error) : "another");
	sigprocmask(SIG_BLOCK, NULL, &now);
	conf_say("  held now: %d, ran: %d", sigismember(&now, SIGUSR1), (int)ran);
}

int main(void)
{
	int a, b;

	conf_pair(&a, &b);
	set("handler", SIGUSR1, handler);
	raise(SIGUSR1);
	set("handler", SIGUSR1, handler);
	set("ignore", SIGUSR1, SIG_IGN);
	set("handler", SIGUSR1, handler);
	set("hold", SIGUSR1, SIG_HOLD);
	raise(SIGUSR1);
	set("hold", SIGUSR1, SIG_HOLD);
	set("handler", SIGUSR1, handler); /* what has come is let through */
	set("default", SIGUSR1, SIG_DFL);
	set("SIGKILL", SIGKILL, handler);
	set("no signal", 0, handler);
	set("no signal", 1000, handler);
	set("error", SIGUSR1, SIG_ERR);
	conf_trip(a, b);
	return 0;
}
