/* SPDX-License-Identifier: MIT */
/* Waiting for nothing, for a while, for less than a millisecond. */
#include "conf.h"

static void timed(const char *what, double start, double least)
{
	conf_say("%s: %s", what, conf_now() - start >= least ? "waited" : "too early");
}

int main(void)
{
	struct timespec ts = { 0, 30500000 }, zero = { 0, 0 }, bad = { 0, 2000000000 };
	int a, b, ep = epoll_create1(0);
	struct epoll_event ev;
	double start;

	conf_pair(&a, &b);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 1);
	conf_res("0", epoll_wait(ep, &ev, 1, 0));
	start = conf_now();
	conf_res("30", epoll_wait(ep, &ev, 1, 30));
	timed("epoll_wait", start, 0.03);
	start = conf_now();
	conf_res("30.5", epoll_pwait2(ep, &ev, 1, &ts, NULL));
	timed("epoll_pwait2", start, 0.0305);
	conf_say("unchanged: %d", ts.tv_nsec == 30500000);
	conf_res("0", epoll_pwait2(ep, &ev, 1, &zero, NULL));
	conf_res("bad", epoll_pwait2(ep, &ev, 1, &bad, NULL));
	conf_put(a, "x", 1);
	conf_res("-1", epoll_wait(ep, &ev, 1, -1));
	conf_res("-7", epoll_wait(ep, &ev, 1, -7));
	conf_res("NULL", epoll_pwait2(ep, &ev, 1, NULL, NULL));
	return 0;
}
