/* SPDX-License-Identifier: MIT */
/* The parent has the connection in its epoll set, forks, and closes it; the
 * child serves by a set of its own, and has the connection to itself. */
#include "serve.h"

/* Echoes until the client is through, as it comes. */
static void echo(int fd)
{
	int ep = epoll_create1(0);
	struct epoll_event ev;
	char buf[2048];
	ssize_t r = 1;

	conf_nonblock(fd, true);
	conf_watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 5);
	while (r != 0) {
		if (epoll_wait(ep, &ev, 1, 10000) != 1 || ev.data.u64 != 5)
			_exit(91);
		while ((r = recv(fd, buf, sizeof(buf), 0)) > 0)
			conf_put(fd, buf, (size_t)r);
		if (r < 0 && errno != EAGAIN)
			_exit(92);
	}
	_exit(0);
}

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), ep = epoll_create1(0), fd;
	pid_t client, child;

	client = serve_client(&sa, "twt");
	fd = serve_accept(lfd);
	conf_watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN, 3);
	serve_trips(fd);
	child = conf_fork();
	if (child == 0)
		echo(fd);
	conf_watch(ep, EPOLL_CTL_DEL, fd, 0, 0);
	conf_res("close", close(fd));
	conf_wait(client);
	conf_wait(child);
	conf_epoll(ep, 0);
	return 0;
}
