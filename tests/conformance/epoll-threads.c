/* SPDX-License-Identifier: MIT */
/* Four threads in one epoll_wait, one-shot, each event handled once. */
#include "conf.h"

#define CONNS 4
#define TRIPS 200

static int ep, far[CONNS], near[CONNS];
static _Atomic int served;

static void *worker(void *arg)
{
	struct epoll_event ev;
	char c;

	(void)arg;
	while (served < CONNS * TRIPS) {
		if (epoll_wait(ep, &ev, 1, 50) != 1)
			continue;
		if (recv(near[ev.data.u64], &c, 1, MSG_DONTWAIT) == 1) {
			conf_put(near[ev.data.u64], &c, 1);
			served++;
		} else {
			conf_say("an event for nothing");
		}
		conf_watch(ep, EPOLL_CTL_MOD, near[ev.data.u64],
			   EPOLLIN | EPOLLONESHOT, ev.data.u64);
	}
	return NULL;
}

int main(void)
{
	pthread_t t[4];
	char c;

	ep = epoll_create1(0);
	for (int i = 0; i < CONNS; i++) {
		conf_pair(&far[i], &near[i]);
		conf_watch(ep, EPOLL_CTL_ADD, near[i], EPOLLIN | EPOLLONESHOT,
			   (uint64_t)i);
	}
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, worker, NULL);
	for (int n = 0; n < TRIPS; n++) {
		for (int i = 0; i < CONNS; i++)
			conf_put(far[i], "x", 1);
		for (int i = 0; i < CONNS; i++)
			conf_get(far[i], &c, 1);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	conf_say("served %d", (int)served);
	return 0;
}
