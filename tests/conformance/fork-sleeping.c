/* SPDX-License-Identifier: MIT */
/* A process forks while a thread of it sleeps in recv; child and thread both
 * go on. */
#include "conf.h"

static int a, b;
static char got[8];

static long in_recv(void)
{
	return recv(b, got, 4, MSG_WAITALL);
}

int main(void)
{
	struct conf_sleeper s;
	pid_t pid;

	conf_pair(&a, &b);
	conf_start(&s, in_recv);
	pid = conf_fork();
	if (pid == 0) {
		int x, y;

		conf_pair(&x, &y);
		conf_trip(x, y);
		exit(0);
	}
	conf_wait(pid);
	conf_put(a, "here", 4);
	conf_join(&s, "recv");
	conf_say("%s", got);
	conf_trip(a, b);
	return 0;
}
