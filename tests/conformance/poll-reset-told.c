/* SPDX-License-Identifier: MIT */
/* A write, or SO_ERROR, tells of a reset: what poll and an edge say right after
 * it, and that a read finds the end, at once. */
#include "conf.h"

#define ROUNDS 20

static int how; /* 0: a write; 1: a write after the end of writing; 2: SO_ERROR */

static int tell(int fd)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (how == 2)
		return getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) == 0 ? err : errno;
	return send(fd, "x", 1, MSG_NOSIGNAL) < 0 ? errno : 0;
}

/* While the connection is switched there may be one edge more, before it. */
static bool edge(int epfd)
{
	struct epoll_event ev = { 0 };

	while (epoll_wait(epfd, &ev, 1, 1000) == 1)
		if (ev.events & EPOLLHUP)
			return ev.events == (EPOLLIN | EPOLLHUP | EPOLLRDHUP);
	return false;
}

static void show(const char *what, int n)
{
	conf_say("  %s: %s", what, n == ROUNDS ? "each time" : "not always");
}

static void rounds(void)
{
	int hung_up = 0, edges = 0, ends = 0, told = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct pollfd p = { .events = 0 };
		int epfd = epoll_create1(0), a, b;
		char c;

		conf_pair(&a, &b);
		conf_watch(epfd, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLRDHUP | EPOLLET, 1);
		if (how == 1)
			shutdown(a, SHUT_WR);
		conf_reset(b);
		p.fd = a;
		if (how == 1) /* which is told of the end, if it is too early */
			poll(&p, 1, 2000);
		told += tell(a) == ECONNRESET;
		p.events = CONF_ALL;
		poll(&p, 1, 0);
		hung_up += p.revents == (CONF_ALL | POLLHUP) - POLLPRI;
		edges += edge(epfd);
		ends += recv(a, &c, 1, 0) == 0;
		close(a);
		close(epfd);
	}
	show("told", told);
	show("hung up", hung_up);
	show("edge", edges);
	show("end", ends);
}

int main(void)
{
	static const char *const names[] = { "a write", "a write after the end", "SO_ERROR" };

	for (how = 0; how < 3; how++) {
		conf_say("%s", names[how]);
		rounds();
	}
	return 0;
}
