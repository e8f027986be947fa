/* SPDX-License-Identifier: MIT */
/* A write that is told of a reset: what poll and an edge say right after it. */
#include "conf.h"

#define ROUNDS 40

int main(void)
{
	int hung_up = 0, edges = 0, ends = 0, told = 0;

	for (int i = 0; i < ROUNDS; i++) {
		struct pollfd p = { .events = CONF_ALL };
		int epfd = epoll_create1(0), a, b;
		struct epoll_event ev;
		char c;

		conf_pair(&a, &b);
		conf_watch(epfd, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLRDHUP | EPOLLET, 1);
		conf_reset(b);
		told += send(a, "x", 1, MSG_NOSIGNAL) < 0 && errno == ECONNRESET;
		p.fd = a;
		poll(&p, 1, 0);
		hung_up += p.revents == (CONF_ALL | POLLHUP) - POLLPRI;
		edges += epoll_wait(epfd, &ev, 1, 0) == 1 &&
			 ev.events == (EPOLLIN | EPOLLHUP | EPOLLRDHUP);
		ends += recv(a, &c, 1, 0) == 0;
		close(a);
		close(epfd);
	}
	conf_say("told: %s, hung up: %s, edges: %s, ends: %s", told == ROUNDS ? "all" : "not all",
		 hung_up == ROUNDS ? "all" : "not all", edges == ROUNDS ? "all" : "not all",
		 ends == ROUNDS ? "all" : "not all");
	return 0;
}
