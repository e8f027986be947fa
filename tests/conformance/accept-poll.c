/* SPDX-License-Identifier: MIT */
/* A listener in poll, select and epoll. */
#include "conf.h"

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), ep = epoll_create1(0), a, b, c, d, s;
	struct timeval tv = { 2, 0 };
	fd_set rd;

	conf_pair(&a, &b);
	conf_nonblock(lfd, true);
	conf_watch(ep, EPOLL_CTL_ADD, lfd, EPOLLIN | EPOLLET, 1);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 2);
	conf_poll(lfd, CONF_ALL, 0);
	conf_silent(ep);
	c = conf_connect(&sa);
	conf_poll(lfd, CONF_ALL, 2000);
	FD_ZERO(&rd);
	FD_SET(lfd, &rd);
	FD_SET(b, &rd);
	conf_res("select", select(lfd + b + 1, &rd, NULL, NULL, &tv));
	conf_say("listener %d connection %d", !!FD_ISSET(lfd, &rd), !!FD_ISSET(b, &rd));
	conf_put(a, "x", 1);
	conf_poll(b, POLLIN, 2000);
	conf_epoll(ep, 2000);
	d = conf_connect(&sa);
	conf_poll(lfd, CONF_ALL, 2000);
	conf_epoll(ep, 2000);
	for (int i = 0; i < 2; i++) {
		s = accept(lfd, NULL, NULL);
		conf_say("accepted: %s", s >= 0 ? "yes" : "no");
	}
	conf_res("accept", accept(lfd, NULL, NULL));
	conf_poll(lfd, CONF_ALL, 0);
	close(c);
	close(d);
	return 0;
}
