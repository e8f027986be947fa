/* SPDX-License-Identifier: MIT */
/* Signals that interrupt sleeping calls, with and without SA_RESTART. */
#include "conf.h"

static pthread_t sleeper;
static int a, b;

static void handler(int sig)
{
	(void)sig;
}

static void *signaller(void *arg)
{
	int *after = arg;

	conf_ms(100);
	pthread_kill(sleeper, SIGUSR1);
	if (*after) {
		conf_ms(100);
		conf_put(a, "x", 1);
	}
	return NULL;
}

static pthread_t start(int flags, int after)
{
	static int arg;
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags };
	pthread_t t;

	sigaction(SIGUSR1, &sa, NULL);
	arg = after;
	sleeper = pthread_self();
	pthread_create(&t, NULL, signaller, &arg);
	return t;
}

int main(void)
{
	struct pollfd p = { .events = POLLIN };
	struct timeval tv = { 5, 0 };
	struct epoll_event ev;
	char c;
	int ep = epoll_create1(0);
	fd_set rd;

	conf_pair(&a, &b);
	p.fd = b;
	pthread_t t = start(0, 0);
	conf_res("recv", recv(b, &c, 1, 0));
	pthread_join(t, NULL);
	t = start(SA_RESTART, 1);
	conf_res("recv SA_RESTART", recv(b, &c, 1, 0));
	pthread_join(t, NULL);
	t = start(SA_RESTART, 0);
	conf_res("poll SA_RESTART", poll(&p, 1, 5000));
	pthread_join(t, NULL);
	t = start(SA_RESTART, 0);
	FD_ZERO(&rd);
	FD_SET(b, &rd);
	conf_res("select SA_RESTART", select(b + 1, &rd, NULL, NULL, &tv));
	conf_say("time left: %s", tv.tv_sec == 4 ? "yes" : "no");
	pthread_join(t, NULL);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN, 1);
	t = start(SA_RESTART, 0);
	conf_res("epoll_wait SA_RESTART", epoll_wait(ep, &ev, 1, 5000));
	pthread_join(t, NULL);
	tv.tv_sec = 5;
	setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	t = start(SA_RESTART, 0);
	conf_res("recv SO_RCVTIMEO SA_RESTART", recv(b, &c, 1, 0));
	pthread_join(t, NULL);
	return 0;
}
