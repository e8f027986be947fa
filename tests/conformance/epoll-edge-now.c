/* SPDX-License-Identifier: MIT */
/*
 * Bytes that come on top of unread ones are an edge, also for epoll_wait
 * calls that never wait, and also after poll has looked.
 */
#include "conf.h"

static void look(int ep)
{
	struct epoll_event ev;

	conf_ms(1);
	conf_res("epoll_wait", epoll_wait(ep, &ev, 1, 0));
}

int main(void)
{
	int a, b, ep = epoll_create1(0);
	char buf[600] = "";

	conf_pair(&a, &b);
	conf_watch(ep, EPOLL_CTL_ADD, a, EPOLLIN | EPOLLET, 1);
	conf_put(b, buf, 100);
	look(ep);
	for (int i = 0; i < 4; i++) {
		conf_put(b, buf, 100);
		if (i & 1)
			conf_poll(a, POLLIN, 0);
		look(ep);
	}
	conf_get(a, buf, 500);
	conf_put(b, buf, 1);
	look(ep);
	return 0;
}
