/* SPDX-License-Identifier: MIT */
/* Two threads poll one connection: both wake. */
#include "conf.h"

static int a, b;

static long in_poll(void)
{
	struct pollfd p = { .fd = b, .events = POLLIN };

	return poll(&p, 1, 5000);
}

static long in_select(void)
{
	fd_set rd;

	FD_ZERO(&rd);
	FD_SET(b, &rd);
	return select(b + 1, &rd, NULL, NULL, NULL);
}

int main(void)
{
	struct conf_sleeper one, two, three;
	char c;

	conf_pair(&a, &b);
	for (int i = 0; i < 3; i++) {
		conf_start(&one, in_poll);
		conf_start(&two, in_select);
		conf_start(&three, in_poll);
		conf_put(a, "x", 1);
		conf_join(&one, "poll");
		conf_join(&two, "select");
		conf_join(&three, "poll");
		conf_res("recv", recv(b, &c, 1, 0));
	}
	return 0;
}
