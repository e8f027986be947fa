/* SPDX-License-Identifier: MIT */
/* epoll_ctl's and epoll_wait's errors. */
#include "conf.h"

int main(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int a, b, ep = epoll_create1(0);

	conf_pair(&a, &b);
	conf_res("MOD", epoll_ctl(ep, EPOLL_CTL_MOD, b, &ev));
	conf_res("DEL", epoll_ctl(ep, EPOLL_CTL_DEL, b, NULL));
	conf_res("ADD", epoll_ctl(ep, EPOLL_CTL_ADD, b, &ev));
	conf_res("ADD", epoll_ctl(ep, EPOLL_CTL_ADD, b, &ev));
	conf_res("MOD", epoll_ctl(ep, EPOLL_CTL_MOD, b, &ev));
	conf_res("NULL", epoll_ctl(ep, EPOLL_CTL_MOD, b, NULL));
	conf_res("op 9", epoll_ctl(ep, 9, b, &ev));
	conf_res("on a socket", epoll_ctl(a, EPOLL_CTL_ADD, b, &ev));
	conf_res("itself", epoll_ctl(ep, EPOLL_CTL_ADD, ep, &ev));
	conf_res("DEL", epoll_ctl(ep, EPOLL_CTL_DEL, b, NULL));
	conf_res("DEL", epoll_ctl(ep, EPOLL_CTL_DEL, b, NULL));
	ev.events = EPOLLIN | EPOLLEXCLUSIVE;
	conf_res("ADD exclusive", epoll_ctl(ep, EPOLL_CTL_ADD, b, &ev));
	conf_res("MOD exclusive", epoll_ctl(ep, EPOLL_CTL_MOD, b, &ev));
	ev.events = EPOLLIN;
	conf_res("MOD of exclusive", epoll_ctl(ep, EPOLL_CTL_MOD, b, &ev));
	conf_res("DEL", epoll_ctl(ep, EPOLL_CTL_DEL, b, NULL));
	ev.events = EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT;
	conf_res("ADD exclusive oneshot", epoll_ctl(ep, EPOLL_CTL_ADD, b, &ev));
	conf_res("wait 0", epoll_wait(ep, &ev, 0, 0));
	conf_res("wait on a socket", epoll_wait(b, &ev, 1, 0));
	conf_res("closed", epoll_ctl(ep, EPOLL_CTL_ADD, 900, &ev));
	close(ep);
	conf_res("closed", epoll_ctl(ep, EPOLL_CTL_ADD, b, &ev));
	conf_res("closed", epoll_wait(ep, &ev, 1, 0));
	return 0;
}
