/* SPDX-License-Identifier: MIT */
/* A program that forks while signals come without end: the child hears none of
 * its parent's. */
#include "conf.h"

static pid_t parent;
static volatile sig_atomic_t in_child;

static void handler(int sig)
{
	(void)sig;
	if (getpid() != parent)
		in_child = 1;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct itimerval every = { { 0, 97 }, { 0, 97 } }, never = { 0 };
	int a, b, bad = 0;

	conf_pair(&a, &b);
	parent = getpid();
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	for (int i = 0; i < 300; i++) {
		int status = 0;
		pid_t pid = fork();

		if (pid == 0)
			_exit(in_child);
		while (waitpid(pid, &status, 0) < 0)
			;
		bad += status != 0;
	}
	setitimer(ITIMER_REAL, &never, NULL);
	conf_say("heard in a child: %d", bad);
	conf_trip(a, b);
	return 0;
}
