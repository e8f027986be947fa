/* SPDX-License-Identifier: MIT */
/* epoll, level-triggered: reported until it is read; with strangers. */
#include "conf.h"

int main(void)
{
	char buf[16];
	int a, b, ep = epoll_create1(0), pfd[2];

	conf_pair(&a, &b);
	if (pipe(pfd) < 0)
		conf_die("pipe");
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 1);
	conf_watch(ep, EPOLL_CTL_ADD, pfd[0], EPOLLIN, 2);
	conf_watch(ep, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLOUT, 3);
	conf_epoll(ep, 0);
	conf_put(a, "abcdef", 6);
	conf_poll(b, POLLIN, 1000);
	conf_epoll(ep, 1000);
	conf_res("recv", recv(b, buf, 3, 0));
	conf_epoll(ep, 1000);
	if (write(pfd[1], "x", 1) != 1)
		conf_die("write");
	conf_epoll(ep, 1000);
	conf_res("recv", recv(b, buf, 3, 0));
	conf_epoll(ep, 1000);
	conf_watch(ep, EPOLL_CTL_MOD, a, EPOLLIN, 4);
	conf_epoll(ep, 1000);
	conf_res("read", read(pfd[0], buf, 1));
	conf_epoll(ep, 20);
	conf_put(b, "x", 1);
	conf_epoll(ep, 1000);
	conf_watch(ep, EPOLL_CTL_MOD, a, 0, 5);
	conf_epoll(ep, 20);
	conf_watch(ep, EPOLL_CTL_MOD, a, EPOLLIN, 6);
	conf_epoll(ep, 1000);
	conf_watch(ep, EPOLL_CTL_DEL, a, 0, 0);
	conf_epoll(ep, 20);
	return 0;
}
