/* SPDX-License-Identifier: MIT */
/* close_range that only marks, and one with a hole in it. */
#include <linux/close_range.h>

#include "conf.h"

int main(void)
{
	int a, b, c, d;

	conf_pair(&a, &b);
	c = dup2(a, 40);
	d = dup2(b, 42);
	conf_res("cloexec", close_range(40, 42, CLOSE_RANGE_CLOEXEC));
	conf_say("%d %d %d", fcntl(c, F_GETFD), fcntl(d, F_GETFD), fcntl(a, F_GETFD));
	conf_trip(c, d);
	conf_res("close_range", close_range(41, 41, 0));
	conf_res("close_range", close_range(42, 42, 0));
	conf_res("fcntl", fcntl(d, F_GETFD));
	conf_trip(c, b);
	conf_res("close_range", close_range(41, ~0u, CLOSE_RANGE_UNSHARE));
	conf_trip(a, b);
	close_range(3, ~0u, 0);
	conf_res("send", send(a, "x", 1, 0));
	conf_pair(&a, &b);
	conf_trip(a, b);
	return 0;
}
