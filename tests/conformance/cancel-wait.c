/* SPDX-License-Identifier: MIT */
/* Threads cancelled in select, pselect, ppoll, epoll_pwait and readv. */
#include "conf.h"

static int a, b, ep;

static long in_select(void)
{
	fd_set rd;

	FD_ZERO(&rd);
	FD_SET(b, &rd);
	return select(b + 1, &rd, NULL, NULL, NULL);
}

static long in_pselect(void)
{
	fd_set rd;

	FD_ZERO(&rd);
	FD_SET(b, &rd);
	return pselect(b + 1, &rd, NULL, NULL, NULL, NULL);
}

static long in_ppoll(void)
{
	struct pollfd p = { .fd = b, .events = POLLIN };

	return ppoll(&p, 1, NULL, NULL);
}

static long in_epoll(void)
{
	struct epoll_event ev;

	return epoll_pwait(ep, &ev, 1, -1, NULL);
}

static long in_readv(void)
{
	char c;
	struct iovec vec = { &c, 1 };

	return readv(b, &vec, 1);
}

static void once(const char *what, long (*call)(void))
{
	struct conf_sleeper s;
	void *ret;

	conf_start(&s, call);
	pthread_cancel(s.thread);
	pthread_join(s.thread, &ret);
	conf_say("%s: %s", what, ret == PTHREAD_CANCELED ? "cancelled" : "returned");
	conf_trip(a, b);
}

int main(void)
{
	ep = epoll_create1(0);
	conf_pair(&a, &b);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 1);
	for (int i = 0; i < 2; i++) {
		once("select", in_select);
		once("pselect", in_pselect);
		once("ppoll", in_ppoll);
		once("epoll_pwait", in_epoll);
		once("readv", in_readv);
	}
	return 0;
}
