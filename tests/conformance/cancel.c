/* SPDX-License-Identifier: MIT */
/* Threads cancelled in sleeping calls; the connection goes on. */
#include "conf.h"

static int a, b, ep;
static char next = 'A';

static void *in_recv(void *arg)
{
	char c;

	(void)arg;
	recv(b, &c, 1, 0);
	return NULL;
}

static void *in_poll(void *arg)
{
	struct pollfd p = { .fd = b, .events = POLLIN };

	(void)arg;
	poll(&p, 1, -1);
	return NULL;
}

static void *in_epoll(void *arg)
{
	struct epoll_event ev;

	(void)arg;
	epoll_wait(ep, &ev, 1, -1);
	return NULL;
}

static void once(const char *what, void *(*fn)(void *))
{
	pthread_t t;
	void *ret;
	char c;

	pthread_create(&t, NULL, fn, NULL);
	conf_ms(50);
	pthread_cancel(t);
	pthread_join(t, &ret);
	conf_say("%s: %s", what, ret == PTHREAD_CANCELED ? "cancelled" : "returned");
	conf_put(a, &next, 1);
	conf_epoll(ep, 1000);
	conf_res("recv", recv(b, &c, 1, 0));
	conf_say("%s", c == next ? "the right one" : "another");
	next++;
}

int main(void)
{
	ep = epoll_create1(0);
	conf_pair(&a, &b);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 1);
	for (int i = 0; i < 2; i++) {
		once("recv", in_recv);
		once("poll", in_poll);
		once("epoll_wait", in_epoll);
	}
	return 0;
}
