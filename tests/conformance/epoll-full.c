/* SPDX-License-Identifier: MIT */
/* OUT of a full connection, level and edge. */
#include "conf.h"

static void server(int fd)
{
	conf_step();
	conf_step();
	conf_read_out(fd);
}

static void client(int fd)
{
	int level = epoll_create1(0), edge = epoll_create1(0);

	conf_watch(level, EPOLL_CTL_ADD, fd, EPOLLOUT, 1);
	conf_watch(edge, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLET, 2);
	conf_epoll(level, 1000);
	conf_epoll(edge, 1000);
	conf_silent(edge);
	conf_say("filled: %d", conf_stuff(fd, 0) > 0);
	conf_epoll(level, 0);
	conf_step();
	conf_step();
	conf_epoll(edge, 5000);
	conf_epoll(level, 5000);
	close(fd);
}

int main(void)
{
	return conf_two(server, client);
}
