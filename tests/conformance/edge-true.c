/* SPDX-License-Identifier: MIT */
/*
 * Edge-triggered round trips over several connections: a reader that stops at
 * a short read, or at EAGAIN, hears of everything that comes afterwards.
 */
#include "conf.h"

#define CONNS 8
#define MAX 700

struct conns {
	int fd[CONNS], epfd;
	size_t want[CONNS]; /* of the message that is coming */
};

/* The sizes are those of the positions: both ends know them. */
static size_t size_of(int conn, long trip)
{
	return 1 + (size_t)((trip * 7919 + conn * 104729) % MAX);
}

static void trips(struct conns *c, bool first, bool to_eagain)
{
	long trip[CONNS] = { 0 }, todo = (getenv("CONF_SWITCH") ? 15000 : 3000) * CONNS;
	long per_conn = todo / CONNS, lost = 0, ends = 0;
	char buf[MAX + 8] = { 0 };

	for (int i = 0; i < CONNS; i++) {
		c->want[i] = size_of(i, 0);
		if (first)
			conf_put(c->fd[i], buf, size_of(i, 0));
	}
	while (todo > 0 && !lost && !ends) {
		struct epoll_event evs[CONNS];
		int n = epoll_wait(c->epfd, evs, CONNS, 5000);

		lost += n == 0;
		for (int k = 0; k < n; k++) {
			int i = (int)evs[k].data.u64;
			ssize_t r;

			do {
				r = recv(c->fd[i], buf, sizeof(buf), 0);
				if (r == 0 || (r < 0 && errno != EAGAIN))
					ends++;
				if (r <= 0)
					break;
				c->want[i] -= (size_t)r;
				if (c->want[i])
					continue;
				todo--;
				if (!first || trip[i] + 1 < per_conn)
					conf_put(c->fd[i], buf, size_of(i, trip[i] + first));
				c->want[i] = size_of(i, ++trip[i]);
			} while (to_eagain || r == (ssize_t)sizeof(buf));
		}
	}
	conf_say("%s: %ld edges lost, ended %ld times",
		 to_eagain ? "until EAGAIN" : "until a short read", lost, ends);
	conf_step();
}

static void both(struct conns *c, bool first)
{
	c->epfd = epoll_create1(0);
	for (int i = 0; i < CONNS; i++) {
		conf_nonblock(c->fd[i], true);
		conf_watch(c->epfd, EPOLL_CTL_ADD, c->fd[i], EPOLLIN | EPOLLET, (uint64_t)i);
	}
	trips(c, first, false);
	trips(c, first, true);
}

static void server(int fd)
{
	struct conns c = { .epfd = -1 };
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa);

	conf_put(fd, &sa, sizeof(sa));
	for (int i = 0; i < CONNS; i++)
		c.fd[i] = accept(lfd, NULL, NULL);
	both(&c, false);
}

static void client(int fd)
{
	struct conns c = { .epfd = -1 };
	struct sockaddr_in sa;

	conf_get(fd, &sa, sizeof(sa));
	for (int i = 0; i < CONNS; i++)
		c.fd[i] = conf_connect(&sa);
	both(&c, true);
}

int main(void)
{
	return conf_two(server, client);
}
