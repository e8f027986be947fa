/* SPDX-License-Identifier: MIT */
/* A poll of every number there can be: what is not the program's is closed. (What
 * the library opens while the kernel goes along the set may be seen: so the one
 * of several answers counts that saw least.) */
#include "conf.h"

#include <sys/resource.h>

#define ALL 1024

static struct pollfd fds[ALL];

static void ask(const char *what, int ms)
{
	int r, most = 0;

	for (int try = 0; try < 50; try++) {
		r = poll(fds, ALL, ms);
		most = r > most ? r : most;
	}
	conf_say("%s: %d", what, most);
}

int main(void)
{
	struct rlimit lim;
	int a, b, start;

	/* The usual limit: what else the process holds lies below ALL. */
	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = ALL;
	conf_res("setrlimit", setrlimit(RLIMIT_NOFILE, &lim));
	start = dup(0); /* what is below came with the process */
	conf_pair(&a, &b);
	for (int round = 0; round < 3; round++) {
		for (int fd = 0; fd < ALL; fd++)
			fds[fd] = (struct pollfd){ .fd = fd < start ? -1 : fd,
						   .events = POLLIN };
		conf_put(a, "x", 1);
		conf_poll(b, POLLIN, 2000);
		ask("poll", round ? -1 : 0);
	}
	close(a);
	close(b);
	ask("poll, closed", 0);
	return 0;
}
