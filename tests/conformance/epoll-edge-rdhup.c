/* SPDX-License-Identifier: MIT */
/* Edges of a peer that shuts down, and of one that resets. */
#include "conf.h"

static void server(int fd)
{
	conf_step();
	conf_put(fd, "abc", 3);
	conf_step();
	shutdown(fd, SHUT_WR);
	conf_step();
	conf_step();
	conf_reset(fd);
	conf_step();
}

static void client(int fd)
{
	int ep = epoll_create1(0);
	char buf[8];

	conf_watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP | EPOLLET, 1);
	conf_silent(ep);
	conf_step();
	conf_step();
	conf_poll(fd, POLLRDHUP, 2000);
	conf_epoll(ep, 2000);
	conf_silent(ep);
	conf_res("recv", recv(fd, buf, 8, 0));
	conf_res("recv", recv(fd, buf, 8, 0));
	conf_silent(ep);
	conf_step();
	conf_step();
	conf_epoll(ep, 2000);
	conf_silent(ep);
	conf_step();
}

int main(void)
{
	return conf_two(server, client);
}
