/* SPDX-License-Identifier: MIT */
/* A handler jumps out of a sleeping call, as old programs do for time-outs;
 * the connection goes on. */
#include <setjmp.h>

#include "conf.h"

static sigjmp_buf env;

static void handler(int sig)
{
	(void)sig;
	siglongjmp(env, 1);
}

int main(void)
{
	struct sigaction sa = { .sa_handler = handler };
	struct conf_later l;
	struct pollfd p = { .events = POLLIN };
	char buf[8];
	int a, b;

	conf_pair(&a, &b);
	p.fd = b;
	sigaction(SIGUSR1, &sa, NULL);
	for (volatile int i = 0; i < 3; i++) {
		conf_later(&l, SIGUSR1, -1, NULL);
		if (sigsetjmp(env, 1) == 0) {
			recv(b, buf, 1, 0);
			conf_say("came back");
		} else {
			conf_say("jumped out of recv");
		}
		pthread_join(l.thread, NULL);
		conf_trip(a, b);
		conf_later(&l, SIGUSR1, -1, NULL);
		if (sigsetjmp(env, 1) == 0) {
			poll(&p, 1, -1);
			conf_say("came back");
		} else {
			conf_say("jumped out of poll");
		}
		pthread_join(l.thread, NULL);
		conf_trip(b, a);
	}
	shutdown(a, SHUT_WR);
	conf_res("recv", recv(b, buf, 1, 0));
	return 0;
}
