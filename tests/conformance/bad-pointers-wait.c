/* SPDX-License-Identifier: MIT */
/* Sets of poll, select and epoll that are not there. */
#include "conf.h"

int main(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct pollfd p = { .events = POLLIN };
	int a, b, ep = epoll_create1(0);

	conf_pair(&a, &b);
	p.fd = b;
	conf_res("poll", poll(conf_nowhere(), 2, 0));
	conf_res("ppoll", ppoll(conf_nowhere(), 2, NULL, NULL));
	conf_res("ppoll mask", ppoll(&p, 1, NULL, conf_nowhere()));
	conf_res("select", select(b + 1, conf_nowhere(), NULL, NULL, NULL));
	conf_res("pselect", pselect(b + 1, NULL, conf_nowhere(), NULL, NULL, NULL));
	conf_res("ADD", epoll_ctl(ep, EPOLL_CTL_ADD, b, conf_nowhere()));
	conf_res("ADD", epoll_ctl(ep, EPOLL_CTL_ADD, b, &ev));
	conf_res("MOD", epoll_ctl(ep, EPOLL_CTL_MOD, b, conf_nowhere()));
	conf_res("DEL", epoll_ctl(ep, EPOLL_CTL_DEL, b, conf_nowhere()));
	conf_res("ADD", epoll_ctl(ep, EPOLL_CTL_ADD, b, &ev));
	conf_put(a, "x", 1);
	conf_poll(b, POLLIN, 2000);
	conf_res("epoll_wait", epoll_wait(ep, conf_nowhere(), 1, 1000));
	conf_res("epoll_pwait mask", epoll_pwait(ep, &ev, 1, 1000, conf_nowhere()));
	conf_res("epoll_pwait2 time", epoll_pwait2(ep, &ev, 1, conf_nowhere(), NULL));
	conf_res("epoll_wait", epoll_wait(ep, &ev, 1, 1000));
	return 0;
}
