/* SPDX-License-Identifier: MIT */
/* An epoll instance inside another, and in poll and select. */
#include "conf.h"

int main(void)
{
	char buf[16];
	int a, b, in = epoll_create1(0), out = epoll_create1(0);
	struct timeval tv = { 0, 0 };
	fd_set rd;

	conf_pair(&a, &b);
	conf_watch(in, EPOLL_CTL_ADD, b, EPOLLIN, 1);
	conf_watch(out, EPOLL_CTL_ADD, in, EPOLLIN, 2);
	conf_poll(in, POLLIN, 20);
	conf_silent(out);
	conf_put(a, "abcdef", 6);
	conf_epoll(out, 1000);
	conf_poll(in, POLLIN, 1000);
	conf_epoll(in, 1000);
	conf_res("recv", recv(b, buf, 3, 0));
	conf_epoll(out, 1000);
	conf_poll(in, POLLIN, 1000);
	FD_ZERO(&rd);
	FD_SET(in, &rd);
	conf_res("select", select(in + 1, &rd, NULL, NULL, &tv));
	conf_epoll(in, 1000);
	conf_res("recv", recv(b, buf, 3, 0));
	conf_epoll(in, 20);
	conf_silent(out);
	conf_poll(in, POLLIN, 20);
	conf_put(a, "x", 1);
	conf_poll(in, POLLIN, 1000);
	conf_epoll(out, 1000);
	return 0;
}
