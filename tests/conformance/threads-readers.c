/* SPDX-License-Identifier: MIT */
/* Three threads sleep in recv on one connection; each byte wakes one. */
#include "conf.h"

static int a, b;

static long in_recv(void)
{
	char c;

	return recv(b, &c, 1, 0);
}

int main(void)
{
	struct conf_sleeper s[3];

	conf_pair(&a, &b);
	for (int i = 0; i < 3; i++)
		conf_start(&s[i], in_recv);
	conf_put(a, "x", 1);
	conf_put(a, "yz", 2);
	for (int i = 0; i < 3; i++)
		conf_join(&s[i], "recv");
	for (int i = 0; i < 3; i++)
		conf_start(&s[i], in_recv);
	shutdown(a, SHUT_WR);
	for (int i = 0; i < 3; i++)
		conf_join(&s[i], "recv at the end");
	return 0;
}
