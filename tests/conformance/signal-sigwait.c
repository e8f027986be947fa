/* SPDX-License-Identifier: MIT */
/* Signals for the process go to the program's threads, never to ours. */
#include "conf.h"

static pthread_t handled_by;

static void handler(int sig)
{
	(void)sig;
	handled_by = pthread_self();
}

int main(void)
{
	struct sigaction sa = { .sa_handler = handler };
	struct timespec ts = { 2, 0 };
	sigset_t all, old, one;
	int a, b;

	conf_pair(&a, &b);
	sigaction(SIGUSR1, &sa, NULL);
	kill(getpid(), SIGUSR1);
	conf_say("handled here: %d", pthread_equal(handled_by, pthread_self()));
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &old);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGTERM);
	conf_ms(20);
	sigpending(&one);
	conf_say("pending: %d %d", sigismember(&one, SIGUSR1), sigismember(&one, SIGTERM));
	sigemptyset(&one);
	sigaddset(&one, SIGTERM);
	conf_say("sigtimedwait: %d", sigtimedwait(&one, NULL, &ts) == SIGTERM);
	conf_trip(a, b);
	handled_by = 0;
	sigprocmask(SIG_SETMASK, &old, NULL);
	conf_say("handled here: %d", handled_by && pthread_equal(handled_by, pthread_self()));
	return 0;
}
