/* SPDX-License-Identifier: MIT */
/* shutdown wakes who sleeps in recv, poll or epoll_wait. */
#include "conf.h"

static int a, b, ep;
static char buf[8];

static long in_recv(void)
{
	return recv(b, buf, 4, 0);
}

static long in_poll(void)
{
	struct pollfd p = { .fd = b, .events = POLLIN | POLLRDHUP };
	int r = poll(&p, 1, 5000);

	return r == 1 ? p.revents : r;
}

static long in_epoll(void)
{
	struct epoll_event ev;
	int r = epoll_wait(ep, &ev, 1, 5000);

	return r == 1 ? (long)ev.events : r;
}

static void once(const char *what, long (*call)(void), int how)
{
	struct conf_sleeper s;

	conf_pair(&a, &b);
	ep = epoll_create1(0);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN | EPOLLRDHUP, 1);
	conf_start(&s, call);
	conf_res("shutdown", shutdown(b, how));
	conf_join(&s, what);
	close(ep);
	close(a);
	close(b);
}

int main(void)
{
	once("recv RD", in_recv, SHUT_RD);
	once("recv RDWR", in_recv, SHUT_RDWR);
	once("poll RD", in_poll, SHUT_RD);
	once("poll RDWR", in_poll, SHUT_RDWR);
	once("epoll RD", in_epoll, SHUT_RD);
	once("epoll RDWR", in_epoll, SHUT_RDWR);
	return 0;
}
