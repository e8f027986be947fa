/* SPDX-License-Identifier: MIT */
/* A thread sleeps in poll while another closes the number. */
#include "conf.h"

static int a, b;
static struct pollfd p;

static long in_poll(void)
{
	p = (struct pollfd){ .fd = b, .events = POLLIN };
	return poll(&p, 1, 10000);
}

int main(void)
{
	struct conf_sleeper s;

	conf_pair(&a, &b);
	conf_start(&s, in_poll);
	conf_res("close", close(b));
	conf_put(a, "late", 4);
	conf_join(&s, "poll");
	conf_say("%s", conf_bits((unsigned short)p.revents));
	return 0;
}
