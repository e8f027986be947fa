/* SPDX-License-Identifier: MIT */
/* EPOLLOUT, edge-triggered: after EAGAIN, when the peer has made room. */
#include "conf.h"

static void server(int fd)
{
	uint64_t bytes;
	bool same;

	conf_step();
	conf_ms(50);
	conf_res("recv", conf_drain_to(fd, &bytes, &same));
	conf_say("same %d", same);
}

static void client(int fd)
{
	int ep = epoll_create1(0);
	struct epoll_event ev;

	conf_watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT | EPOLLET, 1);
	conf_epoll(ep, 1000);
	conf_nonblock(fd, true);
	conf_stuff(fd, 0);
	conf_say("pending: %d", epoll_wait(ep, &ev, 1, 0));
	conf_step();
	conf_epoll(ep, 5000);
	close(fd);
}

int main(void)
{
	return conf_two(server, client);
}
