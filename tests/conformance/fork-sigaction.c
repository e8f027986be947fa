/* SPDX-License-Identifier: MIT */
/* A child forked while another thread sets signal handlers sets its own. */
#include "conf.h"

static _Atomic bool done;

static void handler(int sig)
{
	(void)sig;
}

static void *setter(void *arg)
{
	struct sigaction sa = { .sa_handler = handler };

	while (!done)
		sigaction(SIGUSR2, &sa, NULL);
	return arg;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = handler };
	pthread_t t;
	int a, b, bad = 0;

	conf_pair(&a, &b);
	pthread_create(&t, NULL, setter, NULL);
	for (int i = 0; i < 100; i++) {
		int status = 0;
		pid_t pid = fork();

		if (pid == 0) {
			alarm(3);
			sigaction(SIGUSR1, &sa, NULL);
			_exit(raise(SIGUSR1));
		}
		waitpid(pid, &status, 0);
		bad += status != 0;
		if (bad)
			break;
	}
	done = true;
	pthread_join(t, NULL);
	conf_say("children that could not: %d", bad);
	conf_trip(a, b);
	return 0;
}
