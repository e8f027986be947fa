/* SPDX-License-Identifier: MIT */
/* EPOLLONESHOT: one report, then silence until MOD. */
#include "conf.h"

int main(void)
{
	char buf[16];
	int a, b, ep = epoll_create1(0);

	conf_pair(&a, &b);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN | EPOLLONESHOT, 1);
	conf_epoll(ep, 20);
	conf_put(a, "abc", 3);
	conf_epoll(ep, 1000);
	conf_epoll(ep, 20);
	conf_put(a, "def", 3);
	conf_epoll(ep, 20);
	conf_watch(ep, EPOLL_CTL_MOD, b, EPOLLIN | EPOLLONESHOT, 2);
	conf_epoll(ep, 1000);
	conf_epoll(ep, 20);
	conf_res("recv", recv(b, buf, 6, MSG_WAITALL));
	conf_watch(ep, EPOLL_CTL_MOD, b, EPOLLIN | EPOLLONESHOT | EPOLLET, 3);
	conf_epoll(ep, 20);
	shutdown(a, SHUT_WR);
	conf_epoll(ep, 1000);
	conf_epoll(ep, 20);
	close(a);
	conf_epoll(ep, 20);
	return 0;
}
