/* SPDX-License-Identifier: MIT */
/* One connection under two numbers in one epoll, and in two epolls. */
#include "conf.h"

int main(void)
{
	char buf[16];
	int a, b, c, ep = epoll_create1(0), ep2 = epoll_create1(0), ep3;

	conf_pair(&a, &b);
	c = dup(b);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 1);
	conf_watch(ep, EPOLL_CTL_ADD, c, EPOLLIN, 2);
	conf_watch(ep2, EPOLL_CTL_ADD, c, EPOLLIN | EPOLLET, 3);
	conf_put(a, "abc", 3);
	conf_poll(b, POLLIN, 1000);
	conf_epoll(ep, 1000);
	conf_epoll(ep2, 1000);
	conf_silent(ep2);
	conf_res("recv", recv(c, buf, 3, 0));
	conf_epoll(ep, 20);
	conf_watch(ep, EPOLL_CTL_DEL, b, 0, 0);
	conf_put(a, "def", 3);
	conf_epoll(ep, 1000);
	conf_epoll(ep2, 1000);
	ep3 = dup(ep);
	close(ep);
	conf_epoll(ep3, 1000);
	conf_res("recv", recv(c, buf, 3, 0));
	conf_epoll(ep3, 20);
	conf_put(a, "ghi", 3);
	conf_epoll(ep3, 1000);
	return 0;
}
