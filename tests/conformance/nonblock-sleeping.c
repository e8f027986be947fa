/* SPDX-License-Identifier: MIT */
/* O_NONBLOCK set while a thread sleeps in recv: it sleeps on. */
#include "conf.h"

static int a, b;

static long in_recv(void)
{
	char c;

	return recv(b, &c, 1, 0);
}

int main(void)
{
	struct conf_sleeper s;
	char c;

	conf_pair(&a, &b);
	conf_start(&s, in_recv);
	conf_nonblock(b, true);
	conf_asleep(s.tid);
	conf_put(a, "x", 1);
	conf_join(&s, "recv");
	conf_res("recv", recv(b, &c, 1, 0));
	return 0;
}
