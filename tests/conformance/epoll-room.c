/* SPDX-License-Identifier: MIT */
/* Many pipes and a few connections in one set: a wait with room for all that is
 * ready names all of it, and with little room each has its turn. */
#include "conf.h"

#define CONNS 3
#define PIPES 10

static int ep, in[CONNS + PIPES], out[CONNS + PIPES];

/* Is it one of the first so many connections, or pipes? */
static bool among(int i, int conns, int pipes)
{
	return i < CONNS ? i < conns : i - CONNS < pipes;
}

static void fill(int conns, int pipes)
{
	for (int i = 0; i < CONNS + PIPES; i++) {
		struct pollfd p = { .fd = out[i], .events = POLLIN };

		if (among(i, conns, pipes) &&
		    (write(in[i], "x", 1) != 1 || poll(&p, 1, 2000) != 1))
			conf_die("write");
	}
}

static void drain(int conns, int pipes)
{
	char c;

	for (int i = 0; i < CONNS + PIPES; i++)
		if (among(i, conns, pipes) && read(out[i], &c, 1) != 1)
			conf_die("read");
}

/* Every one of them within so many waits with room for room. */
static void turns(int room, int waits)
{
	struct epoll_event evs[8];
	int seen[CONNS + PIPES] = { 0 };

	while (waits--) {
		int r = epoll_wait(ep, evs, room, 2000);

		for (int i = 0; i < r; i++)
			seen[evs[i].data.u64]++;
	}
	for (int i = 0; i < CONNS + PIPES; i++)
		if (!seen[i])
			conf_say("%d of %d by %d: starved", i, CONNS + PIPES, room);
}

int main(void)
{
	ep = epoll_create1(0);
	for (int i = 0; i < CONNS; i++)
		conf_pair(&in[i], &out[i]);
	for (int i = CONNS; i < CONNS + PIPES; i++) {
		int p[2];

		if (pipe(p) < 0)
			conf_die("pipe");
		in[i] = p[1];
		out[i] = p[0];
	}
	for (int i = 0; i < CONNS + PIPES; i++)
		conf_watch(ep, EPOLL_CTL_ADD, out[i], EPOLLIN, (uint64_t)i);
	for (int i = 0; i < 5; i++) {
		fill(1, 6);
		conf_epoll(ep, 2000);
		conf_epoll(ep, 2000);
		drain(1, 6);
		fill(3, 2);
		conf_epoll(ep, 2000);
		drain(3, 2);
	}
	fill(CONNS, PIPES);
	turns(1, 60);
	turns(2, 40);
	turns(5, 20);
	conf_say("all had their turn");
	drain(CONNS, PIPES);
	conf_epoll(ep, 10);
	return 0;
}
