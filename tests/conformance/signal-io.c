/* SPDX-License-Identifier: MIT */
/* SIGIO and its relatives: F_SETOWN, F_SETSIG, O_ASYNC, FIOASYNC. */
#include "conf.h"

static void wait_signal(int sig)
{
	struct timespec ts = { 2, 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	conf_say("signal: %s", sigtimedwait(&set, NULL, &ts) == sig ? "yes" : "no");
}

int main(void)
{
	int a, b, on = 1, off = 0;
	char buf[8];
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGIO);
	sigaddset(&set, SIGRTMIN + 3);
	sigprocmask(SIG_BLOCK, &set, NULL);
	conf_pair(&a, &b);
	conf_res("F_SETOWN", fcntl(b, F_SETOWN, getpid()));
	conf_say("owner: %d", fcntl(b, F_GETOWN) == getpid());
	conf_res("F_SETFL", fcntl(b, F_SETFL, fcntl(b, F_GETFL) | O_ASYNC));
	conf_say("O_ASYNC %d", !!(fcntl(b, F_GETFL) & O_ASYNC));
	conf_put(a, "abc", 3);
	wait_signal(SIGIO);
	conf_res("recv", recv(b, buf, 8, 0));
	conf_res("F_SETSIG", fcntl(b, F_SETSIG, SIGRTMIN + 3));
	conf_say("F_GETSIG %d", fcntl(b, F_GETSIG) == SIGRTMIN + 3);
	conf_put(a, "abc", 3);
	wait_signal(SIGRTMIN + 3);
	conf_res("recv", recv(b, buf, 8, 0));
	conf_res("FIOASYNC", ioctl(b, FIOASYNC, &off));
	conf_say("O_ASYNC %d", !!(fcntl(b, F_GETFL) & O_ASYNC));
	conf_res("FIOASYNC", ioctl(a, FIOASYNC, &on));
	fcntl(a, F_SETOWN, getpid());
	close(b);
	wait_signal(SIGIO);
	return 0;
}
