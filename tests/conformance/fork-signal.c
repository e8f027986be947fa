/* SPDX-License-Identifier: MIT */
/* A forked child of a program with connections hears its signals. */
#include "conf.h"

int main(void)
{
	char c;
	int a, b;
	pid_t pid;

	conf_pair(&a, &b);
	conf_count(SIGUSR1, SA_RESTART);
	pid = conf_fork();
	if (pid == 0) {
		raise(SIGUSR1);
		conf_say("the child: %d", (int)conf_signals);
		raise(SIGUSR1);
		conf_say("the child: %d", (int)conf_signals);
		fflush(NULL);
		_exit(0);
	}
	conf_wait(pid);
	raise(SIGUSR1);
	conf_say("the parent: %d", (int)conf_signals);
	conf_put(a, "x", 1);
	conf_res("recv", recv(b, &c, 1, 0));
	return 0;
}
