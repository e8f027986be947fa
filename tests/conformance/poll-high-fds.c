/* SPDX-License-Identifier: MIT */
/* Numbers above 1024. */
#include <sys/resource.h>

#include "conf.h"

int main(void)
{
	struct rlimit lim;
	int a, b, c, d, ep = epoll_create1(0);
	char buf[8];

	getrlimit(RLIMIT_NOFILE, &lim);
	if (lim.rlim_cur < 4096 && lim.rlim_max >= 4096) {
		lim.rlim_cur = 4096;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
	conf_pair(&a, &b);
	c = fcntl(a, F_DUPFD, 2000);
	d = dup2(b, 1999);
	close(a);
	close(b);
	conf_say("%d %d", c, d);
	conf_trip(c, d);
	conf_poll(d, CONF_ALL, 0);
	conf_watch(ep, EPOLL_CTL_ADD, d, EPOLLIN, 1);
	conf_put(c, "abc", 3);
	conf_poll(d, CONF_ALL, 2000);
	conf_epoll(ep, 2000);
	conf_res("recv", recv(d, buf, 8, 0));
	conf_pair(&a, &b);
	conf_trip(a, b);
	conf_trip(c, d);
	close(c);
	conf_poll(d, POLLRDHUP, 2000);
	conf_poll(d, CONF_ALL, 2000);
	return 0;
}
