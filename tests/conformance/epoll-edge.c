/* SPDX-License-Identifier: MIT */
/* epoll, edge-triggered: once for each arrival, drained or not. */
#include "conf.h"

int main(void)
{
	char buf[64];
	int a, b, ep = epoll_create1(0);

	conf_pair(&a, &b);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN | EPOLLET, 1);
	conf_silent(ep);
	conf_put(a, "abcdef", 6);
	conf_epoll(ep, 1000);
	conf_silent(ep);
	conf_res("recv", recv(b, buf, 3, 0));
	conf_silent(ep);
	conf_put(a, "ghi", 3);
	conf_epoll(ep, 1000);
	conf_silent(ep);
	conf_res("recv", recv(b, buf, 6, MSG_WAITALL));
	conf_res("recv", recv(b, buf, 6, MSG_DONTWAIT));
	conf_silent(ep);
	conf_put(a, "j", 1);
	conf_epoll(ep, 1000);
	conf_res("recv", recv(b, buf, 6, 0));
	conf_put(a, "k", 1);
	conf_poll(b, POLLIN, 1000);
	conf_res("recv", recv(b, buf, 6, 0));
	conf_watch(ep, EPOLL_CTL_MOD, b, EPOLLIN | EPOLLOUT | EPOLLET, 2);
	conf_epoll(ep, 1000);
	shutdown(a, SHUT_WR);
	conf_epoll(ep, 1000);
	conf_silent(ep);
	return 0;
}
