/* SPDX-License-Identifier: MIT */
/* One socket in three sets: level, edge, one-shot; each has its own mind. */
#include "conf.h"

int main(void)
{
	int a, b, level = epoll_create1(0), edge = epoll_create1(0);
	int shot = epoll_create1(0);
	char buf[8];

	conf_pair(&a, &b);
	conf_watch(level, EPOLL_CTL_ADD, b, EPOLLIN, 1);
	conf_watch(edge, EPOLL_CTL_ADD, b, EPOLLIN | EPOLLET, 2);
	conf_watch(shot, EPOLL_CTL_ADD, b, EPOLLIN | EPOLLONESHOT, 3);
	for (int i = 0; i < 3; i++) {
		conf_put(a, "abc", 3);
		conf_poll(b, POLLIN, 2000);
		conf_epoll(level, 2000);
		conf_epoll(level, 2000);
		conf_epoll(edge, 2000);
		conf_silent(edge);
		if (i != 1)
			conf_epoll(shot, 2000);
		conf_silent(shot);
		if (i == 1)
			conf_watch(shot, EPOLL_CTL_MOD, b, EPOLLIN | EPOLLONESHOT, 4);
		if (i == 1)
			conf_epoll(shot, 2000);
		if (i == 1)
			conf_watch(shot, EPOLL_CTL_MOD, b, EPOLLIN | EPOLLONESHOT, 3);
		if (i == 1)
			conf_epoll(shot, 2000);
		conf_res("recv", recv(b, buf, 8, 0));
		conf_watch(shot, EPOLL_CTL_MOD, b, EPOLLIN | EPOLLONESHOT, 3);
		if (i == 0)
			conf_watch(shot, EPOLL_CTL_MOD, b, EPOLLONESHOT, 3);
	}
	return 0;
}
