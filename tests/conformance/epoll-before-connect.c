/* SPDX-License-Identifier: MIT */
/* A socket registered before it is connected, without blocking. */
#include "conf.h"

int main(void)
{
	struct sockaddr_in sa;
	char msg[64] = "warm";
	double start = conf_now();
	int lfd = conf_listen(&sa), ep = epoll_create1(0), trips = 0, a, b, err = 1;
	socklen_t len = sizeof(err);

	a = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	conf_watch(ep, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLOUT | EPOLLET, 1);
	conf_epoll(ep, 20);
	conf_res("connect", connect(a, (struct sockaddr *)&sa, sizeof(sa)));
	conf_epoll(ep, 1000);
	getsockopt(a, SOL_SOCKET, SO_ERROR, &err, &len);
	conf_say("SO_ERROR %d", err);
	b = accept(lfd, NULL, NULL);
	conf_nonblock(a, false);
	do {
		conf_put(a, msg, sizeof(msg));
		conf_get(b, msg, sizeof(msg));
		conf_put(b, msg, sizeof(msg));
		conf_get(a, msg, sizeof(msg));
	} while (!warm_enough(a, ++trips, start));
	conf_watch(ep, EPOLL_CTL_MOD, a, EPOLLIN | EPOLLET, 1);
	conf_silent(ep);
	conf_put(b, "x", 1);
	conf_epoll(ep, 1000);
	conf_res("recv", recv(a, msg, 64, 0));
	conf_watch(ep, EPOLL_CTL_MOD, a, EPOLLIN, 2);
	conf_epoll(ep, 20);
	conf_put(b, "y", 1);
	conf_epoll(ep, 1000);
	conf_watch(ep, EPOLL_CTL_DEL, a, 0, 0);
	conf_epoll(ep, 20);
	return 0;
}
