/* SPDX-License-Identifier: MIT */
/* Closing what is registered: the last number, and one of two. */
#include "conf.h"

int main(void)
{
	char buf[16];
	int a, b, c, ep = epoll_create1(0);

	conf_pair(&a, &b);
	conf_watch(ep, EPOLL_CTL_ADD, a, EPOLLIN, 1);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 2);
	conf_put(a, "abc", 3);
	conf_epoll(ep, 1000);
	c = dup(b);
	close(b);
	conf_epoll(ep, 1000);
	conf_res("recv", recv(c, buf, 3, 0));
	conf_epoll(ep, 20);
	conf_put(a, "def", 3);
	conf_epoll(ep, 1000);
	conf_res("recv", recv(c, buf, 3, 0));
	close(c);
	conf_epoll(ep, 1000);
	close(a);
	conf_epoll(ep, 20);
	return 0;
}
