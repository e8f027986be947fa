/* SPDX-License-Identifier: MIT */
/* Who asks epoll for no events hears of HUP, at the first look. */
#include "conf.h"

int main(void)
{
	struct epoll_event ev;
	int a, b, ep = epoll_create1(0), looks = 1;

	conf_pair(&a, &b);
	shutdown(b, SHUT_WR);
	conf_poll(a, POLLRDHUP, 2000);
	conf_watch(ep, EPOLL_CTL_ADD, a, 0, 1);
	conf_res("epoll_wait", epoll_wait(ep, &ev, 1, 0));
	shutdown(a, SHUT_WR);
	conf_poll(b, POLLRDHUP, 2000);
	conf_poll(a, 0, 2000);
	/* The service thread may be a moment behind poll. */
	if (getenv("CONF_SWITCH"))
		while (looks++ < 100 && epoll_wait(ep, &ev, 1, 0) == 0)
			conf_ms(1);
	conf_epoll(ep, 0);
	return 0;
}
