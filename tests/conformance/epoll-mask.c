/* SPDX-License-Identifier: MIT */
/* The signal masks of epoll_pwait and epoll_pwait2. */
#include "conf.h"

int main(void)
{
	struct timespec ts = { 5, 0 };
	struct epoll_event ev;
	sigset_t set, none;
	int a, b, ep = epoll_create1(0);

	conf_pair(&a, &b);
	conf_count(SIGUSR1, 0);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 1);
	sigemptyset(&none);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	conf_res("blocked", epoll_wait(ep, &ev, 1, 10));
	conf_say("signals %d", (int)conf_signals);
	conf_res("open", epoll_pwait(ep, &ev, 1, 5000, &none));
	conf_say("signals %d", (int)conf_signals);
	raise(SIGUSR1);
	conf_res("open", epoll_pwait2(ep, &ev, 1, &ts, &none));
	conf_say("signals %d", (int)conf_signals);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	conf_put(a, "x", 1);
	conf_poll(b, POLLIN, 2000);
	sigprocmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR1);
	conf_res("ready", epoll_pwait(ep, &ev, 1, 5000, &none));
	conf_say("signals %d", (int)conf_signals);
	conf_res("closed", epoll_pwait(ep, &ev, 1, 10, &set));
	conf_say("signals %d", (int)conf_signals);
	return 0;
}
