/* SPDX-License-Identifier: MIT */
/* A child waits in the set it inherited, for the connection it inherited. */
#include "conf.h"

static void server(int fd)
{
	int ep = epoll_create1(0);
	struct epoll_event ev = { 0 };
	char buf[8];
	pid_t pid;

	conf_watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 7);
	conf_step();
	conf_epoll(ep, 2000);
	conf_res("recv", recv(fd, buf, 3, MSG_WAITALL));
	pid = conf_fork();
	if (pid == 0) {
		if (epoll_wait(ep, &ev, 1, 5000) != 1 || ev.data.u64 != 7 ||
		    ev.events != EPOLLIN || recv(fd, buf, 8, 0) != 3)
			_exit(1);
		conf_put(fd, "yes", 3);
		_exit(0);
	}
	conf_step();
	conf_wait(pid);
	conf_step();
	conf_epoll(ep, 2000);
	conf_res("recv", recv(fd, buf, 3, MSG_WAITALL));
	conf_put(fd, "too", 3);
	conf_epoll(ep, 10);
}

static void client(int fd)
{
	char buf[8];

	conf_put(fd, "one", 3);
	conf_step();
	conf_step();
	conf_put(fd, "two", 3);
	conf_get(fd, buf, 3);
	conf_say("%.3s", buf);
	conf_put(fd, "abc", 3);
	conf_step();
	conf_get(fd, buf, 3);
	conf_say("%.3s", buf);
}

int main(void)
{
	return conf_two(server, client);
}
