/* SPDX-License-Identifier: MIT */
/* A thread sleeps in epoll_wait; what another does to the set wakes it. */
#include "conf.h"

static int ep;
static struct epoll_event ev;

static long in_wait(void)
{
	return epoll_wait(ep, &ev, 1, 5000);
}

static void say(struct conf_sleeper *s, const char *what)
{
	conf_join(s, what);
	conf_say("  %d: %s", (int)ev.data.u64, conf_bits(ev.events));
}

int main(void)
{
	struct conf_sleeper s;
	char buf[8];
	int a, b;

	conf_pair(&a, &b);
	ep = epoll_create1(0);
	conf_put(a, "x", 1);
	conf_poll(b, POLLIN, 2000);
	conf_start(&s, in_wait);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 1);
	say(&s, "ADD of a ready one");
	conf_watch(ep, EPOLL_CTL_MOD, b, 0, 2);
	conf_start(&s, in_wait);
	conf_watch(ep, EPOLL_CTL_MOD, b, EPOLLIN, 3);
	say(&s, "MOD to what is ready");
	conf_res("recv", recv(b, buf, 8, 0));
	conf_start(&s, in_wait);
	conf_watch(ep, EPOLL_CTL_MOD, b, EPOLLOUT, 4);
	say(&s, "MOD to OUT");
	conf_watch(ep, EPOLL_CTL_DEL, b, 0, 0);
	conf_start(&s, in_wait);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN | EPOLLET, 5);
	conf_put(a, "y", 1);
	say(&s, "bytes");
	conf_watch(ep, EPOLL_CTL_MOD, b, EPOLLIN | EPOLLONESHOT, 6);
	conf_epoll(ep, 2000);
	conf_start(&s, in_wait);
	conf_watch(ep, EPOLL_CTL_MOD, b, EPOLLIN | EPOLLONESHOT, 7);
	say(&s, "one-shot again");
	return 0;
}
