/* SPDX-License-Identifier: MIT */
/* select, pselect, ppoll, epoll_pwait and epoll_pwait2 never restart. */
#include "conf.h"

static int a, b, ep;

static long by_select(void)
{
	fd_set rd;

	FD_ZERO(&rd);
	FD_SET(b, &rd);
	return select(b + 1, &rd, NULL, NULL, NULL);
}

static long by_pselect(void)
{
	struct timespec ts = { 20, 0 };
	fd_set rd;

	FD_ZERO(&rd);
	FD_SET(b, &rd);
	return pselect(b + 1, &rd, NULL, NULL, &ts, NULL);
}

static long by_ppoll(void)
{
	struct pollfd p = { .fd = b, .events = POLLIN };

	return ppoll(&p, 1, NULL, NULL);
}

static long by_epoll_pwait(void)
{
	struct epoll_event ev;

	return epoll_pwait(ep, &ev, 1, -1, NULL);
}

static long by_epoll_pwait2(void)
{
	struct timespec ts = { 20, 0 };
	struct epoll_event ev;

	return epoll_pwait2(ep, &ev, 1, &ts, NULL);
}

static void once(const char *what, long (*call)(void))
{
	struct conf_later l;

	conf_later(&l, SIGUSR1, -1, NULL);
	conf_res(what, call());
	pthread_join(l.thread, NULL);
}

int main(void)
{
	ep = epoll_create1(0);
	conf_pair(&a, &b);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 1);
	for (int flags = 0; flags < 2; flags++) {
		conf_count(SIGUSR1, flags ? SA_RESTART : 0);
		once("select", by_select);
		once("pselect", by_pselect);
		once("ppoll", by_ppoll);
		once("epoll_pwait", by_epoll_pwait);
		once("epoll_pwait2", by_epoll_pwait2);
	}
	conf_say("signals %d", (int)conf_signals);
	conf_trip(a, b);
	return 0;
}
