/* SPDX-License-Identifier: MIT */
/* EPOLLOUT, edge-triggered: after EAGAIN, when the peer has made room. */
#include "conf.h"

static void server(int fd)
{
	static uint8_t buf[65536];
	uint64_t pos = 0;
	ssize_t r;

	conf_step();
	conf_ms(50);
	while ((r = recv(fd, buf, sizeof(buf), 0)) > 0) {
		if (!conf_same(buf, (size_t)r, pos))
			conf_say("wrong content");
		pos += (uint64_t)r;
	}
	conf_res("recv", r);
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
