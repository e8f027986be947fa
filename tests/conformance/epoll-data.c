/* SPDX-License-Identifier: MIT */
/* The 64 bits of a registration come back whole, and change with MOD. */
#include "conf.h"

int main(void)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 0xdeadbeefcafef00d };
	int a, b, ep = epoll_create1(EPOLL_CLOEXEC);
	char c;

	conf_say("cloexec %d", fcntl(ep, F_GETFD));
	conf_pair(&a, &b);
	conf_res("ADD", epoll_ctl(ep, EPOLL_CTL_ADD, b, &ev));
	conf_put(a, "x", 1);
	memset(&ev, 0, sizeof(ev));
	conf_res("epoll_wait", epoll_wait(ep, &ev, 1, 2000));
	conf_say("%s %llx", conf_bits(ev.events), (unsigned long long)ev.data.u64);
	ev.events = EPOLLIN | EPOLLOUT;
	ev.data.ptr = &ev;
	conf_res("MOD", epoll_ctl(ep, EPOLL_CTL_MOD, b, &ev));
	memset(&ev, 0, sizeof(ev));
	conf_res("epoll_wait", epoll_wait(ep, &ev, 1, 2000));
	conf_say("%s %d", conf_bits(ev.events), ev.data.ptr == &ev);
	conf_res("recv", recv(b, &c, 1, 0));
	conf_res("epoll_wait", epoll_wait(ep, &ev, 1, 2000));
	conf_say("%s %d", conf_bits(ev.events), ev.data.ptr == &ev);
	return 0;
}
