/* SPDX-License-Identifier: MIT */
/* With room for one event a wait, every ready connection has its turn. */
#include "conf.h"

#define CONNS 6

int main(void)
{
	int a[CONNS], b[CONNS], ep = epoll_create1(0), seen[CONNS] = { 0 };
	struct epoll_event ev;
	char c;

	for (int i = 0; i < CONNS; i++) {
		conf_pair(&a[i], &b[i]);
		conf_watch(ep, EPOLL_CTL_ADD, b[i], EPOLLIN, (uint64_t)i);
	}
	for (int i = 0; i < CONNS; i++) {
		conf_put(a[i], "x", 1);
		conf_poll(b[i], POLLIN, 2000);
	}
	for (int n = 0; n < 3 * CONNS; n++)
		if (epoll_wait(ep, &ev, 1, 2000) == 1)
			seen[ev.data.u64]++;
	for (int i = 0; i < CONNS; i++)
		conf_say("%d: %s", i, seen[i] ? "seen" : "starved");
	/* Edge-triggered: once each. */
	for (int i = 0; i < CONNS; i++)
		conf_watch(ep, EPOLL_CTL_MOD, b[i], EPOLLIN | EPOLLET, (uint64_t)i);
	memset(seen, 0, sizeof(seen));
	while (epoll_wait(ep, &ev, 1, 300) == 1)
		if (seen[ev.data.u64]++ > 100)
			break;
	for (int i = 0; i < CONNS; i++)
		conf_say("%d: %s", i, seen[i] ? "seen" : "starved");
	for (int i = 0; i < CONNS; i++)
		conf_res("recv", recv(b[i], &c, 1, 0));
	return 0;
}
