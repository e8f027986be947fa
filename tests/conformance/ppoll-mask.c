/* SPDX-License-Identifier: MIT */
/* The signal mask of ppoll, pselect and epoll_pwait. */
#include "conf.h"

static volatile sig_atomic_t seen;

static void handler(int sig)
{
	(void)sig;
	seen = seen + 1;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = handler };
	struct timespec ts = { 5, 0 };
	struct pollfd p = { .events = POLLIN };
	struct epoll_event ev;
	sigset_t block, none;
	int a, b, ep = epoll_create1(0);
	fd_set rd;

	conf_pair(&a, &b);
	p.fd = b;
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 1);
	sigaction(SIGUSR1, &sa, NULL);
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigprocmask(SIG_BLOCK, &block, NULL);
	raise(SIGUSR1);
	conf_res("poll", poll(&p, 1, 20));
	conf_say("seen %d", (int)seen);
	conf_res("ppoll", ppoll(&p, 1, &ts, &none));
	conf_say("seen %d", (int)seen);
	raise(SIGUSR1);
	FD_ZERO(&rd);
	FD_SET(b, &rd);
	conf_res("pselect", pselect(b + 1, &rd, NULL, NULL, &ts, &none));
	conf_say("seen %d, left %d", (int)seen, (int)ts.tv_sec);
	raise(SIGUSR1);
	conf_res("epoll_pwait", epoll_pwait(ep, &ev, 1, 5000, &none));
	conf_say("seen %d", (int)seen);
	conf_put(a, "x", 1);
	conf_poll(b, POLLIN, 1000);
	conf_res("ppoll", ppoll(&p, 1, &ts, &none));
	ts.tv_nsec = 1000000000;
	conf_res("ppoll", ppoll(&p, 1, &ts, NULL));
	return 0;
}
