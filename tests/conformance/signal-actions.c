/* SPDX-License-Identifier: MIT */
/* What a program reads back of the signal handlers it has set, in all the
 * ways there are to set them, and how each is called. */
#include "conf.h"

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* siginterrupt */

static volatile sig_atomic_t simple_ran, info_ran, right_pid, inner;

static void simple(int sig)
{
	(void)sig;
	simple_ran = simple_ran + 1;
}

static void with_info(int sig, siginfo_t *info, void *uc)
{
	(void)uc;
	if (info->si_signo == sig && info->si_pid == getpid())
		right_pid = right_pid + 1;
	if (info->si_code == SI_QUEUE)
		inner = inner + info->si_value.sival_int;
	info_ran = info_ran + 1;
}

static const char *name_of(const struct sigaction *sa)
{
	return sa->sa_handler == SIG_DFL ? "default" :
	       sa->sa_handler == SIG_IGN ? "ignored" :
	       sa->sa_handler == simple	 ? "simple" :
	       sa->sa_sigaction == with_info ? "with info" : "another";
}

static const char *name_of_old(void (*fn)(int))
{
	struct sigaction sa = { .sa_handler = fn };

	return fn == SIG_ERR ? "error" : name_of(&sa);
}

static void show(int sig)
{
	struct sigaction sa;

	conf_res("sigaction", sigaction(sig, NULL, &sa));
	conf_say("%s flags %x mask USR2 %d", name_of(&sa),
		 (unsigned int)sa.sa_flags, sigismember(&sa.sa_mask, SIGUSR2));
}

static void set(int sig, int flags, bool info)
{
	struct sigaction sa = { .sa_flags = flags }, old;

	if (info)
		sa.sa_sigaction = with_info;
	else
		sa.sa_handler = simple;
	sigaddset(&sa.sa_mask, SIGUSR2);
	conf_res("sigaction", sigaction(sig, &sa, &old));
	conf_say("was %s flags %x", name_of(&old), (unsigned int)old.sa_flags);
	raise(sig);
	conf_say("ran %d %d, pid %d", simple_ran, info_ran, right_pid);
	show(sig);
}

int main(void)
{
	int a, b;

	conf_pair(&a, &b);
	show(SIGUSR1);
	set(SIGUSR1, 0, false);
	set(SIGUSR1, SA_SIGINFO | SA_RESTART, true);
	set(SIGUSR1, SA_SIGINFO | (int)SA_RESETHAND, true);
	set(SIGUSR1, (int)SA_RESETHAND | (int)SA_NODEFER, false);
	set(SIGUSR1, SA_SIGINFO, true);
	sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 42 });
	conf_say("value %d", inner);
	conf_say("signal was %s", name_of_old(signal(SIGUSR1, simple)));
	show(SIGUSR1);
	conf_res("siginterrupt", siginterrupt(SIGUSR1, 1));
	show(SIGUSR1);
	conf_say("signal was %s", name_of_old(signal(SIGUSR1, simple)));
	show(SIGUSR1);
	conf_res("siginterrupt", siginterrupt(SIGUSR1, 0));
	show(SIGUSR1);
	raise(SIGUSR1);
	conf_say("ran %d", simple_ran);
	conf_say("signal was %s", name_of_old(signal(SIGUSR1, SIG_IGN)));
	raise(SIGUSR1);
	conf_say("ran %d", simple_ran);
	conf_say("signal was %s", name_of_old(signal(SIGUSR1, simple)));
	conf_say("sysv_signal was %s", name_of_old(sysv_signal(SIGUSR1, simple)));
	show(SIGUSR1);
	raise(SIGUSR1);
	show(SIGUSR1);
	conf_say("ran %d", simple_ran);
	conf_say("signal was %s", name_of_old(signal(SIGUSR1, SIG_DFL)));
	conf_say("signal was %s", name_of_old(signal(SIGKILL, simple)));
	conf_say("signal was %s", name_of_old(signal(0, simple)));
	conf_res("bad", sigaction(SIGKILL, &(struct sigaction){ .sa_handler = simple }, NULL));
	conf_res("bad", sigaction(65, NULL, NULL));
	show(SIGKILL);
	conf_trip(a, b);
	return 0;
}
