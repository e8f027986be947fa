/* SPDX-License-Identifier: MIT */
/* The sets and times of select and pselect, and their errors. */
#include "conf.h"

static int a, b;

static void say(const char *what, int r, fd_set *rd, fd_set *wr)
{
	conf_res(what, r);
	conf_say("  rd %d%d wr %d%d", !!FD_ISSET(a, rd), !!FD_ISSET(b, rd),
		 !!FD_ISSET(a, wr), !!FD_ISSET(b, wr));
}

int main(void)
{
	struct timeval tv = { 0, 0 }, neg = { -1, 0 }, odd = { 0, 2500000 };
	struct timespec ts = { 0, 10000000 }, bad = { 0, 1000000000 };
	volatile int minus = -1;
	fd_set rd, wr;
	int n, closed;

	conf_pair(&a, &b);
	n = (a > b ? a : b) + 1;
	FD_ZERO(&rd);
	FD_SET(a, &rd);
	FD_SET(b, &rd);
	wr = rd;
	say("idle", select(n, &rd, &wr, NULL, &tv), &rd, &wr);
	conf_put(a, "x", 1);
	conf_poll(b, POLLIN, 2000);
	FD_SET(a, &rd);
	FD_SET(b, &rd);
	say("bytes", select(n, &rd, &wr, NULL, &odd), &rd, &wr);
	conf_say("time left: %d", odd.tv_sec >= 2);
	FD_ZERO(&wr);
	FD_SET(a, &rd);
	say("pselect", pselect(n, &rd, &wr, NULL, &ts, NULL), &rd, &wr);
	conf_say("unchanged: %d", ts.tv_nsec == 10000000);
	FD_CLR(b, &rd);
	FD_SET(a, &rd);
	say("time-out", pselect(n, &rd, &wr, NULL, &ts, NULL), &rd, &wr);
	FD_SET(a, &rd);
	conf_res("negative time", select(n, &rd, NULL, NULL, &neg));
	conf_res("bad time", pselect(n, &rd, NULL, NULL, &bad, NULL));
	conf_res("negative n", select(minus, &rd, NULL, NULL, &tv));
	conf_say("kept: %d", !!FD_ISSET(a, &rd));
	closed = dup(a);
	close(closed);
	FD_SET(closed, &rd);
	conf_res("closed", select(closed + 1, &rd, NULL, NULL, &tv));
	conf_res("closed, beyond", select(n, &rd, NULL, NULL, &tv));
	tv.tv_usec = 5000;
	conf_res("none", select(0, NULL, NULL, NULL, &tv));
	return 0;
}
