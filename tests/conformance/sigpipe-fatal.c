/* SPDX-License-Identifier: MIT */
/* SIGPIPE ends who does not care; who blocks it finds it pending, for the
 * thread that wrote. */
#include "conf.h"

static void *in_thread(void *arg)
{
	sigset_t set;

	conf_res("send", send(*(int *)arg, "x", 1, 0));
	sigpending(&set);
	conf_say("pending in the thread: %d", sigismember(&set, SIGPIPE));
	return NULL;
}

int main(void)
{
	pthread_t t;
	sigset_t set;
	pid_t pid;
	int a, b;

	conf_pair(&a, &b);
	pid = conf_fork();
	if (pid == 0) {
		conf_pair(&a, &b);
		shutdown(a, SHUT_WR);
		send(a, "x", 1, 0);
		_exit(0);
	}
	conf_wait(pid);
	shutdown(a, SHUT_WR);
	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pthread_create(&t, NULL, in_thread, &a);
	pthread_join(t, NULL);
	sigpending(&set);
	conf_say("pending here: %d", sigismember(&set, SIGPIPE));
	conf_res("write", write(a, "x", 1));
	sigpending(&set);
	conf_say("pending here: %d", sigismember(&set, SIGPIPE));
	return 0;
}
