/* SPDX-License-Identifier: MIT */
/* What MOD does: re-arms edges, changes interest, keeps HUP. */
#include "conf.h"

int main(void)
{
	int a, b, ep = epoll_create1(0);
	char buf[8];

	conf_pair(&a, &b);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN | EPOLLET, 1);
	conf_put(a, "abc", 3);
	conf_epoll(ep, 2000);
	conf_silent(ep);
	conf_watch(ep, EPOLL_CTL_MOD, b, EPOLLIN | EPOLLET, 2);
	conf_epoll(ep, 2000);
	conf_silent(ep);
	conf_watch(ep, EPOLL_CTL_MOD, b, EPOLLOUT | EPOLLET, 3);
	conf_epoll(ep, 2000);
	conf_silent(ep);
	conf_watch(ep, EPOLL_CTL_MOD, b, 0, 4);
	conf_silent(ep);
	conf_watch(ep, EPOLL_CTL_MOD, b, EPOLLIN, 5);
	conf_epoll(ep, 2000);
	conf_epoll(ep, 2000);
	conf_res("recv", recv(b, buf, 8, 0));
	conf_silent(ep);
	conf_watch(ep, EPOLL_CTL_MOD, b, EPOLLOUT, 6);
	conf_epoll(ep, 2000);
	conf_epoll(ep, 2000);
	conf_watch(ep, EPOLL_CTL_MOD, b, EPOLLRDHUP, 7);
	conf_silent(ep);
	shutdown(a, SHUT_WR);
	conf_epoll(ep, 2000);
	conf_watch(ep, EPOLL_CTL_MOD, b, 0, 8);
	conf_silent(ep);
	shutdown(b, SHUT_WR);
	conf_epoll(ep, 2000);
	return 0;
}
