/* SPDX-License-Identifier: MIT */
/* Flags that do not exist. */
#include "conf.h"

int main(void)
{
	char buf[8] = "";
	struct iovec vec = { buf, 4 };
	int a, b;

	conf_pair(&a, &b);
	conf_res("dup3", dup3(a, 100, O_NONBLOCK));
	conf_res("dup3 same", dup3(a, a, 0));
	conf_res("epoll_create1", epoll_create1(1));
	conf_res("epoll_create", epoll_create(0));
	conf_res("socket", socket(AF_INET, SOCK_STREAM | 0x40000000, 0));
	conf_res("close_range", close_range(100, 200, 0x100));
	conf_res("close_range", close_range(200, 100, 0));
	conf_res("preadv2", preadv2(b, &vec, 1, -1, 0x40000000));
	conf_res("pwritev2", pwritev2(a, &vec, 1, -1, 0x40000000));
	conf_res("preadv2 at 0", preadv2(b, &vec, 1, 0, 0));
	conf_res("pwritev2 at 0", pwritev2(a, &vec, 1, 0, 0));
	conf_res("preadv2 at -2", preadv2(b, &vec, 1, -2, 0));
	conf_res("fcntl", fcntl(a, 9999, 0));
	conf_res("F_DUPFD", fcntl(a, F_DUPFD, -1));
	conf_res("F_DUPFD", fcntl(a, F_DUPFD, 1 << 30));
	conf_res("ioctl", ioctl(a, 0xdead, buf));
	conf_res("send", send(a, "abcd", 4, 0x01000000 | MSG_DONTROUTE));
	conf_poll(b, POLLIN, 2000);
	conf_res("recv", recv(b, buf, 4, 0x01000000));
	conf_say("%s", buf);
	conf_trip(a, b);
	return 0;
}
