/* SPDX-License-Identifier: MIT */
/* select: three sets, the time left, closed descriptors. */
#include "conf.h"

static void show(int a, int b, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
	fd_set rd, wr, ex;
	int r;

	FD_ZERO(&rd);
	FD_ZERO(&wr);
	FD_ZERO(&ex);
	FD_SET(a, &rd);
	FD_SET(b, &rd);
	FD_SET(b, &wr);
	FD_SET(b, &ex);
	r = select((a > b ? a : b) + 1, &rd, &wr, &ex, &tv);
	conf_res("select", r);
	conf_say("rd %d %d wr %d %d ex %d, time left: %s", !!FD_ISSET(a, &rd),
		 !!FD_ISSET(b, &rd), !!FD_ISSET(a, &wr), !!FD_ISSET(b, &wr),
		 !!FD_ISSET(b, &ex), tv.tv_sec || tv.tv_usec ? "yes" : "no");
}

int main(void)
{
	struct timeval tv = { 0, 30000 };
	fd_set rd;
	char buf[8];
	int a, b;

	conf_pair(&a, &b);
	show(a, b, 1000);
	conf_put(a, "abc", 3);
	conf_poll(b, POLLIN, 1000);
	show(a, b, 1000);
	conf_res("recv", recv(b, buf, sizeof(buf), 0));
	FD_ZERO(&rd);
	FD_SET(b, &rd);
	conf_res("select", select(b + 1, &rd, NULL, NULL, &tv));
	conf_say("rd %d, time left: %s", !!FD_ISSET(b, &rd),
		 tv.tv_sec || tv.tv_usec ? "yes" : "no");
	shutdown(a, SHUT_WR);
	FD_SET(b, &rd);
	tv.tv_sec = 1;
	conf_res("select", select(b + 1, &rd, NULL, NULL, &tv));
	FD_ZERO(&rd);
	FD_SET(b, &rd);
	FD_SET(b + 5, &rd);
	tv.tv_sec = 1;
	conf_res("select", select(b + 6, &rd, NULL, NULL, &tv));
	conf_res("select", select(-1, NULL, NULL, NULL, &tv));
	return 0;
}
