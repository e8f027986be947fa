/* SPDX-License-Identifier: MIT */
/* A number that is closed and opened anew is not in the set any more. */
#include "conf.h"

int main(void)
{
	int a, b, c, d, ep = epoll_create1(0);

	conf_pair(&a, &b);
	conf_pair(&c, &d);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 1);
	dup2(d, b);
	conf_put(c, "abc", 3);
	conf_poll(b, POLLIN, 2000);
	conf_epoll(ep, 10);
	conf_watch(ep, EPOLL_CTL_MOD, b, EPOLLIN, 2);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 3);
	conf_epoll(ep, 2000);
	close(b);
	conf_watch(ep, EPOLL_CTL_MOD, b, EPOLLIN, 4);
	conf_epoll(ep, 2000);
	close(d);
	conf_epoll(ep, 10);
	return 0;
}
