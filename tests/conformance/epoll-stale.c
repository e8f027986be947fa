/* SPDX-License-Identifier: MIT */
/* A number is closed while its connection lives on in another: the set goes on
 * reporting it, and nobody can take it out. */
#include "conf.h"

int main(void)
{
	int a, b, c, ep = epoll_create1(0);
	char buf[8];

	conf_pair(&a, &b);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 1);
	c = dup(b);
	close(b);
	conf_put(a, "abc", 3);
	conf_epoll(ep, 2000);
	conf_watch(ep, EPOLL_CTL_DEL, b, 0, 0);
	conf_watch(ep, EPOLL_CTL_MOD, c, EPOLLIN, 2);
	conf_epoll(ep, 2000);
	conf_res("recv", recv(c, buf, 8, 0));
	conf_epoll(ep, 10);
	/* The number comes back as the same connection: it counts again. */
	conf_say("back: %d", dup2(c, b) == b);
	conf_watch(ep, EPOLL_CTL_MOD, b, EPOLLIN | EPOLLOUT, 3);
	conf_epoll(ep, 2000);
	conf_watch(ep, EPOLL_CTL_DEL, b, 0, 0);
	conf_epoll(ep, 10);
	return 0;
}
