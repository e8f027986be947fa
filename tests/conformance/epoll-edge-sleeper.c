/* SPDX-License-Identifier: MIT */
/* An edge-triggered sleeper hears of every arrival, undrained as it is. */
#include "conf.h"

static void server(int fd)
{
	for (int i = 0; i < 5; i++) {
		conf_step();
		conf_ms(30);
		conf_put(fd, "abc", 3);
	}
	conf_step();
}

static void client(int fd)
{
	int ep = epoll_create1(0);
	char buf[64];

	conf_watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET, 1);
	for (int i = 0; i < 5; i++) {
		conf_step();
		conf_epoll(ep, 5000);
	}
	conf_res("recv", recv(fd, buf, 15, MSG_WAITALL));
	conf_step();
}

int main(void)
{
	return conf_two(server, client);
}
