/* SPDX-License-Identifier: MIT */
/* A connection ends with the last of its numbers. */
#include "conf.h"

int main(void)
{
	int a, b, c, d;
	char buf[4];

	conf_pair(&a, &b);
	c = dup(a);
	d = fcntl(a, F_DUPFD_CLOEXEC, 100);
	conf_res("close", close(a));
	conf_res("close again", close(a));
	conf_trip(c, b);
	conf_res("close", close(c));
	conf_trip(d, b);
	conf_res("recv", recv(b, buf, 1, MSG_DONTWAIT));
	conf_res("close", close(d));
	conf_res("recv", recv(b, buf, 1, 0));
	conf_poll(b, CONF_ALL, 0);
	return 0;
}
