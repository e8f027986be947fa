/* SPDX-License-Identifier: MIT */
/* A connection is dissolved by connect to AF_UNSPEC while epoll sets hold it:
 * they hold the socket still, and what it is connected to next. */
#include "conf.h"

static int again(int fd, int lfd, const struct sockaddr_in *sa)
{
	if (connect(fd, (const void *)sa, sizeof(*sa)) < 0)
		conf_die("connect");
	return accept(lfd, NULL, NULL);
}

int main(void)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int level = epoll_create1(0), edge = epoll_create1(0), a, b, lfd, error;
	socklen_t len = sizeof(error);
	char news[4];
	struct sockaddr_in sa;

	lfd = conf_listen(&sa);
	conf_pair(&a, &b);
	conf_watch(level, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLRDHUP, 1);
	conf_watch(edge, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLRDHUP | EPOLLET, 2);
	conf_epoll(level, 0);
	conf_res("dissolve", connect(a, &none, sizeof(none)));
	conf_epoll(level, 100);
	getsockopt(a, SOL_SOCKET, SO_ERROR, &error, &len);
	b = again(a, lfd, &sa);
	conf_epoll(level, 0);
	conf_put(b, "news", 4);
	conf_epoll(level, 1000);
	conf_epoll(edge, 1000);
	conf_get(a, news, sizeof(news));
	conf_trip(b, a);
	conf_res("leave", epoll_ctl(level, EPOLL_CTL_DEL, a, NULL));
	conf_res("twice", epoll_ctl(level, EPOLL_CTL_DEL, a, NULL));
	close(a);
	conf_res("end", recv(b, &error, 1, 0));
	return 0;
}
