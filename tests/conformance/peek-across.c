/* SPDX-License-Identifier: MIT */
/* A peek, FIONREAD and a read see the whole stream, though its bytes lie partly
 * in TCP and partly in a ring, and then in TCP again. */
#include "conf.h"

#define LONG 9000u
#define MUCH 40000u /* a ring does not wait until so many are read */

static void steer(int a, int b, uint32_t path)
{
	conf_steer(a, path == XVMC_FD_RING);
	conf_steer(b, path == XVMC_FD_RING);
	for (int ms = 0; ms < 300 && !conf_tx_on(a, path); ms++)
		conf_ms(1);
}

static uint64_t sent, got;

static void put(int fd, size_t n)
{
	static uint8_t buf[MUCH];

	conf_fill(buf, n, sent);
	conf_put(fd, buf, n);
	sent += n;
}

static void take(int fd, size_t n, int flags, const char *what)
{
	static uint8_t buf[MUCH + 2 * LONG];
	ssize_t r = conf_res(what, recv(fd, buf, n, flags));

	if (r > 0)
		conf_say("  %s", conf_same(buf, (size_t)r, got) ? "the right ones" : "wrong");
	if (r > 0 && !(flags & MSG_PEEK))
		got += (uint64_t)r;
}

static void look(int fd, size_t n)
{
	int there = -1;

	conf_res("FIONREAD", ioctl(fd, FIONREAD, &there));
	conf_say("  %d", there);
	take(fd, n / 3, MSG_PEEK | MSG_DONTWAIT, "peek a third");
	take(fd, n, MSG_PEEK | MSG_DONTWAIT, "peek");
	take(fd, n + 10, MSG_PEEK | MSG_DONTWAIT, "peek for more");
	take(fd, n, MSG_PEEK | MSG_WAITALL, "peek for all");
	conf_res("FIONREAD", ioctl(fd, FIONREAD, &there));
	conf_say("  %d", there);
	conf_poll(fd, POLLIN, 0);
}

static void pieces(int a, int b, size_t first, size_t second, size_t third)
{
	conf_say("%zu, %zu, %zu", first, second, third);
	steer(a, b, XVMC_FD_TCP);
	put(a, first);
	steer(a, b, XVMC_FD_RING);
	put(a, second);
	if (third) {
		steer(a, b, XVMC_FD_TCP);
		put(a, third);
	}
	look(b, first + second + third);
	take(b, first - 1, 0, "read some");
	take(b, second + third + 2, MSG_DONTWAIT, "read more than there is");
	take(b, 1, MSG_DONTWAIT, "read nothing");
	steer(a, b, XVMC_FD_RING);
}

/* ---- MSG_PEEK with MSG_WAITALL waits for all of it ---- */

struct later {
	int a, b;
	bool by_ring, end;
};

static void *rest(void *arg)
{
	struct later *l = arg;

	conf_ms(30);
	steer(l->a, l->b, l->by_ring ? XVMC_FD_RING : XVMC_FD_TCP);
	put(l->a, 4);
	if (l->end)
		shutdown(l->a, SHUT_WR);
	return NULL;
}

static void waits(int a, int b, bool from_ring, bool to_ring, bool end)
{
	size_t first = !from_ring && to_ring ? MUCH : 3;
	struct later l = { a, b, to_ring, end };
	pthread_t t;

	conf_say("%d to %d, end %d", from_ring, to_ring, end);
	steer(a, b, from_ring ? XVMC_FD_RING : XVMC_FD_TCP);
	put(a, first);
	pthread_create(&t, NULL, rest, &l);
	take(b, first + (end ? 97 : 4), MSG_PEEK | MSG_WAITALL, "peek for all");
	pthread_join(t, NULL);
	take(b, first + 97, 0, "read");
}

int main(void)
{
	struct timeval soon = { .tv_usec = 20000 };
	int a, b;

	conf_pair(&a, &b);
	pieces(a, b, MUCH, 4, 0);
	pieces(a, b, MUCH, 4, 5);
	pieces(a, b, MUCH, LONG, 0);
	pieces(a, b, MUCH, 3000, 4000);
	for (int i = 0; i < 4; i++)
		waits(a, b, i & 1, i & 2, false);
	setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	put(a, 3);
	take(b, 7, MSG_PEEK | MSG_WAITALL, "peek for more than comes");
	take(b, 3, 0, "read");
	take(b, 7, MSG_PEEK | MSG_WAITALL, "peek where nothing comes");
	soon.tv_usec = 0;
	setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
	waits(a, b, true, true, true);
	take(b, 7, MSG_PEEK | MSG_WAITALL, "peek at the end");
	return 0;
}
