/* SPDX-License-Identifier: MIT */
/* RDHUP, HUP and ERR as epoll reports them. */
#include "conf.h"

static void server(int fd)
{
	static const struct linger reset = { .l_onoff = 1 };

	conf_step();
	shutdown(fd, SHUT_WR);
	conf_step();
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	conf_step();
}

static void client(int fd)
{
	int ep = epoll_create1(0);

	conf_watch(ep, EPOLL_CTL_ADD, fd, EPOLLRDHUP, 1);
	conf_epoll(ep, 20);
	conf_step();
	conf_epoll(ep, 5000);
	conf_watch(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, 2);
	conf_epoll(ep, 5000);
	conf_watch(ep, EPOLL_CTL_MOD, fd, 0, 3);
	conf_epoll(ep, 20);
	conf_step();
	conf_step();
	conf_epoll(ep, 5000);
	conf_watch(ep, EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, 4);
	conf_epoll(ep, 5000);
}

int main(void)
{
	return conf_two(server, client);
}
