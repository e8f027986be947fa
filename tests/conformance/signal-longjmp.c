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
	struct epoll_event ev;
	int a, b, ep = epoll_create1(0);

	conf_pair(&a, &b);
	p.fd = b;
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 1);
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
		conf_later(&l, SIGUSR1, -1, NULL);
		if (sigsetjmp(env, 1) == 0) {
			epoll_wait(ep, &ev, 1, -1);
			conf_say("came back");
		} else {
			conf_say("jumped out of epoll_wait");
		}
		pthread_join(l.thread, NULL);
		conf_trip(b, a);
	}
	/* What was jumped out of keeps nothing open. */
	close(b);
	conf_res("recv", recv(a, buf, 1, 0));
	return 0;
}
