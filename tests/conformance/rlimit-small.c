/* SPDX-License-Identifier: MIT */
/* Few descriptors: the program gets all it may have, and no fewer. */
#include <sys/resource.h>

#include "conf.h"

int main(void)
{
	struct rlimit lim = { 64, 64 };
	volatile nfds_t many = 65;
	struct pollfd set[65] = { 0 };
	int a, b, n = 0, fd[64];

	conf_res("setrlimit", setrlimit(RLIMIT_NOFILE, &lim));
	conf_pair(&a, &b);
	conf_trip(a, b);
	for (n = 0; n < 20; n++)
		fd[n] = dup(0);
	conf_say("20 more: %s", fd[19] >= 0 ? "yes" : "no");
	conf_res("poll", poll(set, many, 0));
	conf_res("dup2", dup2(a, 64));
	conf_res("F_DUPFD", fcntl(a, F_DUPFD, 64));
	while (n--)
		close(fd[n]);
	conf_trip(a, b);
	return 0;
}
