/* SPDX-License-Identifier: MIT */
/*
 * Who is told by epoll, poll or select that there is something to read finds
 * it, at once and every time: many programs take EAGAIN for an error there.
 * Several connections in one set, each at another point of its way to a ring.
 */
#include "conf.h"

#define CONNS 8
#define SIZE 300

struct conns {
	int fd[CONNS], epfd;
	size_t got[CONNS];
	bool ready[CONNS];
};

static void wait_epoll(struct conns *c)
{
	struct epoll_event evs[2 * CONNS];
	int n = epoll_wait(c->epfd, evs, 2 * CONNS, -1);

	/* Twice in one answer is as bad as once in vain. */
	for (int i = 0; i < n; i++) {
		if (c->ready[evs[i].data.u64])
			conf_say("two events of one connection");
		c->ready[evs[i].data.u64] = true;
	}
}

static void wait_poll(struct conns *c)
{
	struct pollfd p[CONNS];

	for (int i = 0; i < CONNS; i++)
		p[i] = (struct pollfd){ .fd = c->fd[i], .events = POLLIN };
	poll(p, CONNS, -1);
	for (int i = 0; i < CONNS; i++)
		c->ready[i] = p[i].revents & POLLIN;
}

static void wait_select(struct conns *c)
{
	int max = 0;
	fd_set set;

	FD_ZERO(&set);
	for (int i = 0; i < CONNS; i++) {
		FD_SET(c->fd[i], &set);
		max = c->fd[i] > max ? c->fd[i] : max;
	}
	select(max + 1, &set, NULL, NULL, NULL);
	for (int i = 0; i < CONNS; i++)
		c->ready[i] = FD_ISSET(c->fd[i], &set);
}

/* So many round trips over all of them; the client begins, and both ends know
 * the number. */
static void trips(const char *name, struct conns *c, bool first,
		  void (*wait)(struct conns *c))
{
	long todo = getenv("CONF_SWITCH") ? 40000 : 8000, lies = 0, ends = 0;
	char buf[SIZE] = { 0 };

	if (first)
		for (int i = 0; i < CONNS; i++)
			conf_put(c->fd[i], buf, SIZE);
	while (todo > 0 && !ends) {
		memset(c->ready, 0, sizeof(c->ready));
		wait(c);
		for (int i = 0; i < CONNS; i++) {
			ssize_t r = c->ready[i] ? recv(c->fd[i], buf, SIZE - c->got[i], 0) : 0;

			if (!c->ready[i])
				continue;
			if (r <= 0 && !(r < 0 && errno == EAGAIN))
				ends++;
			else if (r < 0)
				lies++;
			else
				c->got[i] += (size_t)r;
			if (c->got[i] < SIZE)
				continue;
			c->got[i] = 0;
			todo--;
			if (!first || todo >= CONNS)
				conf_put(c->fd[i], buf, SIZE);
		}
	}
	conf_say("%s: told in vain %ld times, ended %ld times", name, lies, ends);
	conf_step();
}

static void all(struct conns *c, bool first)
{
	c->epfd = epoll_create1(0);
	for (int i = 0; i < CONNS; i++) {
		conf_nonblock(c->fd[i], true);
		conf_watch(c->epfd, EPOLL_CTL_ADD, c->fd[i], EPOLLIN, (uint64_t)i);
	}
	trips("epoll", c, first, wait_epoll);
	trips("poll", c, first, wait_poll);
	trips("select", c, first, wait_select);
}

static void server(int fd)
{
	struct conns c = { .got = { 0 } };
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa);

	conf_put(fd, &sa, sizeof(sa));
	for (int i = 0; i < CONNS; i++)
		c.fd[i] = accept(lfd, NULL, NULL);
	all(&c, false);
}

static void client(int fd)
{
	struct conns c = { .got = { 0 } };
	struct sockaddr_in sa;

	conf_get(fd, &sa, sizeof(sa));
	for (int i = 0; i < CONNS; i++)
		c.fd[i] = conf_connect(&sa);
	all(&c, true);
}

int main(void)
{
	return conf_two(server, client);
}
