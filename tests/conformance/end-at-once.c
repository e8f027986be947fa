/* SPDX-License-Identifier: MIT */
/* When a shutdown or a close has returned, the other end finds it with its very
 * next call: no call of these waits. */
#include "conf.h"

static char buf[100];

static int set_of(int fd, uint32_t events)
{
	int epfd = epoll_create1(0);

	conf_watch(epfd, EPOLL_CTL_ADD, fd, events, 1);
	conf_epoll(epfd, 0);
	return epfd;
}

/* How it ends, and what b is asked then. */
static void ends(const char *how, void (*end)(int fd), void (*ask)(int fd, int epfd),
		 uint32_t events)
{
	int a, b, epfd;

	for (size_t n = 0; n <= 5; n += 5) {
		conf_pair(&a, &b);
		conf_say("%s, %zu bytes before", how, n);
		epfd = set_of(b, events);
		if (n)
			conf_put(a, buf, n);
		end(a);
		ask(b, epfd);
		close(epfd);
		close(b);
	}
}

static void half(int fd)
{
	shutdown(fd, SHUT_WR);
}

static void whole(int fd)
{
	close(fd);
}

static void by_dup2(int fd)
{
	if (dup2(STDIN_FILENO, fd) == fd)
		close(fd);
}

static void by_recv(int fd, int epfd)
{
	(void)epfd;
	conf_res("recv", recv(fd, buf, sizeof(buf), MSG_DONTWAIT));
	conf_res("recv", recv(fd, buf, sizeof(buf), MSG_DONTWAIT));
}

static void by_peek(int fd, int epfd)
{
	(void)epfd;
	conf_res("peek", recv(fd, buf, sizeof(buf), MSG_DONTWAIT | MSG_PEEK));
	by_recv(fd, epfd);
}

static void by_poll(int fd, int epfd)
{
	conf_poll(fd, POLLIN | POLLRDHUP, 0);
	by_recv(fd, epfd);
}

static void by_select(int fd, int epfd)
{
	struct timeval none = { 0 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(fd, &set);
	conf_res("select", select(fd + 1, &set, NULL, NULL, &none));
	by_recv(fd, epfd);
}

static void by_epoll(int fd, int epfd)
{
	struct epoll_event ev = { 0 };

	conf_res("epoll_wait", epoll_wait(epfd, &ev, 1, 0));
	conf_say("  %s", conf_bits(ev.events));
	by_recv(fd, epfd);
}

int main(void)
{
	static const struct {
		const char *name;
		void (*end)(int fd);
	} ways[] = {
		{ "shutdown", half },
		{ "close", whole },
		{ "dup2", by_dup2 },
		{ "reset", conf_reset },
	};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		ends(ways[i].name, ways[i].end, by_recv, EPOLLIN);
		ends(ways[i].name, ways[i].end, by_peek, EPOLLIN);
		ends(ways[i].name, ways[i].end, by_poll, EPOLLIN);
		ends(ways[i].name, ways[i].end, by_select, EPOLLIN);
		ends(ways[i].name, ways[i].end, by_epoll, EPOLLIN | EPOLLRDHUP);
		ends(ways[i].name, ways[i].end, by_epoll, EPOLLIN | EPOLLRDHUP | EPOLLET);
	}
	return 0;
}
