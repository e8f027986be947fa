/* SPDX-License-Identifier: MIT */
/* EPOLLEXCLUSIVE in two sets that do not sleep, and in one that does. */
#include "conf.h"

static int a, b, ep;

static long in_wait(void)
{
	struct epoll_event ev;

	return epoll_wait(ep, &ev, 1, 5000);
}

int main(void)
{
	struct conf_sleeper s;
	char buf[4];
	int ep2;

	conf_pair(&a, &b);
	ep = epoll_create1(0);
	ep2 = epoll_create1(0);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN | EPOLLEXCLUSIVE, 1);
	conf_watch(ep2, EPOLL_CTL_ADD, b, EPOLLIN | EPOLLEXCLUSIVE, 2);
	conf_silent(ep);
	conf_put(a, "x", 1);
	conf_poll(b, POLLIN, 2000);
	conf_epoll(ep, 2000);
	conf_epoll(ep2, 2000);
	conf_res("recv", recv(b, buf, 4, 0));
	conf_silent(ep);
	conf_silent(ep2);
	conf_start(&s, in_wait);
	conf_put(a, "y", 1);
	conf_join(&s, "sleeper");
	/* Whether ep2 hears of it as well is nobody's promise. */
	conf_res("DEL", epoll_ctl(ep, EPOLL_CTL_DEL, b, NULL));
	return 0;
}
