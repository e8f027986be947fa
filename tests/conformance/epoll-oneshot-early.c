/* SPDX-License-Identifier: MIT */
/* A one-shot of a socket that is connected later: it fires before, or is armed
 * still when the connection has moved bytes. Once is once. */
#include "conf.h"

static void early(bool waits)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), ep = epoll_create1(0), trips = 0, a, b, one = 1;
	double start = conf_now();
	char msg[64] = "warm";
	bool enough;

	conf_say(waits ? "fires before it is connected" : "fires later");
	a = socket(AF_INET, SOCK_STREAM, 0);
	conf_watch(ep, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLOUT | EPOLLONESHOT, 1);
	if (waits)
		conf_epoll(ep, 2000);
	if (connect(a, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		conf_die("connect");
	b = accept(lfd, NULL, NULL);
	setsockopt(a, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(b, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	do {
		enough = warm_enough(a, trips++, start);
		conf_put(a, msg, sizeof(msg));
		conf_get(b, msg, sizeof(msg));
		conf_put(b, msg, sizeof(msg));
		conf_get(a, msg, sizeof(msg));
	} while (!enough);
	conf_put(b, "news", 4);
	conf_epoll(ep, waits ? 20 : 2000);
	conf_put(b, "more", 4);
	conf_epoll(ep, 20);
	conf_watch(ep, EPOLL_CTL_MOD, a, EPOLLIN | EPOLLONESHOT, 2);
	conf_epoll(ep, 2000);
	conf_epoll(ep, 20);
	close(a);
	close(b);
	close(lfd);
	close(ep);
}

int main(void)
{
	alarm(30);
	early(true);
	early(false);
	return 0;
}
