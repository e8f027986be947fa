/* SPDX-License-Identifier: MIT */
/* The limit is lowered, below the library's own, while connections are. */
#include <sys/resource.h>

#include "conf.h"

int main(void)
{
	struct rlimit lim;
	int a, b, c, d;

	conf_pair(&a, &b);
	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = 32;
	conf_res("setrlimit", setrlimit(RLIMIT_NOFILE, &lim));
	conf_trip(a, b);
	c = dup(a);
	close(a);
	conf_trip(c, b);
	lim.rlim_cur = 6;
	conf_res("setrlimit", setrlimit(RLIMIT_NOFILE, &lim));
	while ((d = dup(0)) >= 0)
		;
	conf_res("dup", d);
	conf_trip(c, b);
	close(c);
	conf_res("recv", recv(b, &d, 1, 0));
	return 0;
}
