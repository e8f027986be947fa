/* SPDX-License-Identifier: MIT */
/* The signal mask of pselect. */
#include "conf.h"

int main(void)
{
	struct timespec ts = { 5, 0 }, zero = { 0, 0 };
	sigset_t set, none;
	fd_set rd;
	int a, b;

	conf_pair(&a, &b);
	conf_count(SIGUSR1, SA_RESTART);
	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	FD_ZERO(&rd);
	FD_SET(b, &rd);
	conf_res("blocked", pselect(b + 1, &rd, NULL, NULL, &zero, &set));
	FD_SET(b, &rd);
	conf_say("signals %d", (int)conf_signals);
	conf_res("open", pselect(b + 1, &rd, NULL, NULL, &ts, &none));
	conf_say("signals %d still blocked %d", (int)conf_signals,
		 sigprocmask(SIG_BLOCK, NULL, &set) == 0 && sigismember(&set, SIGUSR1));
	conf_put(a, "x", 1);
	conf_poll(b, POLLIN, 2000);
	FD_SET(b, &rd);
	raise(SIGUSR1);
	conf_res("ready", pselect(b + 1, &rd, NULL, NULL, &ts, &set));
	conf_say("signals %d", (int)conf_signals);
	return 0;
}
