/* SPDX-License-Identifier: MIT */
/* One-shot registrations made while the connection still was young: fired or
 * not, they mean the same once it is on a ring. */
#include "conf.h"

int main(void)
{
	struct sockaddr_in sa;
	char msg[64] = "warm";
	double start = conf_now();
	int lfd = conf_listen(&sa), trips = 0, ep = epoll_create1(0);
	int a = conf_connect(&sa), b = accept(lfd, NULL, NULL);

	conf_watch(ep, EPOLL_CTL_ADD, a, EPOLLOUT | EPOLLONESHOT, 1);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN | EPOLLONESHOT, 2);
	conf_epoll(ep, 1000);
	do {
		conf_put(b, msg, sizeof(msg));
		conf_get(a, msg, sizeof(msg));
	} while (!warm_enough(a, ++trips, start));
	conf_epoll(ep, 20);
	conf_put(a, msg, sizeof(msg));
	conf_epoll(ep, 1000);
	conf_epoll(ep, 20);
	conf_watch(ep, EPOLL_CTL_MOD, a, EPOLLOUT | EPOLLONESHOT, 3);
	conf_epoll(ep, 1000);
	return 0;
}
