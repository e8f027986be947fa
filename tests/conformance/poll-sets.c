/* SPDX-License-Identifier: MIT */
/* A set with negative, closed, foreign and doubled entries. */
#include "conf.h"

static void say(const char *what, int r, const struct pollfd *p, int n)
{
	conf_res(what, r);
	for (int i = 0; i < n; i++)
		conf_say("  %d: %s", i, conf_bits((unsigned short)p[i].revents));
}

int main(void)
{
	struct pollfd p[8] = { 0 };
	int a, b, c, pp[2];
	char buf[8];

	conf_pair(&a, &b);
	c = dup(b);
	if (pipe(pp) < 0)
		conf_die("pipe");
	p[0] = (struct pollfd){ .fd = -1, .events = POLLIN, .revents = 77 };
	p[1] = (struct pollfd){ .fd = 900, .events = POLLIN };
	p[2] = (struct pollfd){ .fd = b, .events = POLLIN };
	p[3] = (struct pollfd){ .fd = b, .events = POLLOUT };
	p[4] = (struct pollfd){ .fd = c, .events = POLLIN | POLLOUT };
	p[5] = (struct pollfd){ .fd = pp[0], .events = POLLIN };
	p[6] = (struct pollfd){ .fd = pp[1], .events = POLLIN | POLLOUT };
	p[7] = (struct pollfd){ .fd = ~b, .events = POLLIN };
	say("idle", poll(p, 8, 0), p, 8);
	conf_put(a, "x", 1);
	conf_poll(b, POLLIN, 2000);
	say("bytes", poll(p, 8, 0), p, 8);
	conf_res("recv", recv(c, buf, 8, 0));
	say("read", poll(p, 8, 0), p, 8);
	p[1].fd = -1;
	p[3].events = p[4].events = 0;
	p[6].fd = -1;
	say("nothing", poll(p, 8, 20), p, 8);
	close(a);
	say("closed", poll(p, 8, 2000), p, 8);
	conf_res("none", poll(NULL, 0, 5));
	return 0;
}
