/* SPDX-License-Identifier: MIT */
/* Three instances inside each other; loops are refused. */
#include "conf.h"

int main(void)
{
	int a, b, e[3];
	char buf[8];

	conf_pair(&a, &b);
	for (int i = 0; i < 3; i++)
		e[i] = epoll_create1(0);
	conf_watch(e[0], EPOLL_CTL_ADD, b, EPOLLIN, 1);
	conf_watch(e[1], EPOLL_CTL_ADD, e[0], EPOLLIN, 2);
	conf_watch(e[2], EPOLL_CTL_ADD, e[1], EPOLLIN, 3);
	conf_watch(e[0], EPOLL_CTL_ADD, e[2], EPOLLIN, 4);
	for (int i = 0; i < 2; i++) {
		for (int k = 2; k >= 0; k--)
			conf_silent(e[k]);
		conf_put(a, "abc", 3);
		for (int k = 2; k >= 0; k--)
			conf_epoll(e[k], 2000);
		conf_poll(e[2], POLLIN, 2000);
		conf_res("recv", recv(b, buf, 8, 0));
		conf_poll(e[2], POLLIN, 10);
	}
	close(e[1]);
	conf_put(a, "abc", 3);
	conf_epoll(e[0], 2000);
	conf_silent(e[2]);
	return 0;
}
