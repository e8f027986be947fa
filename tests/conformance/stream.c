/* SPDX-License-Identifier: MIT */
/* Both directions at once, random sizes, every byte checked. */
#include "conf.h"

#define TOTAL (32u << 20)

struct dir {
	int fd;
	unsigned int seed;
};

static void *sender(void *arg)
{
	struct dir *d = arg;
	static __thread uint8_t buf[100000];
	uint64_t pos = 0;

	while (pos < TOTAL) {
		size_t n = (size_t)rand_r(&d->seed) % sizeof(buf) + 1;

		if (n > TOTAL - pos)
			n = TOTAL - pos;
		conf_fill(buf, n, pos);
		conf_put(d->fd, buf, n);
		pos += n;
	}
	shutdown(d->fd, SHUT_WR);
	return NULL;
}

static void both(int fd)
{
	static uint8_t buf[100000];
	struct dir d = { fd, (unsigned int)(conf_role[0] == 'S') };
	pthread_t t;
	uint64_t pos = 0;
	ssize_t r;

	pthread_create(&t, NULL, sender, &d);
	for (;;) {
		size_t n = (size_t)rand_r(&d.seed) % sizeof(buf) + 1;

		r = recv(fd, buf, n, 0);
		if (r <= 0)
			break;
		if (!conf_same(buf, (size_t)r, pos)) {
			conf_say("wrong content");
			break;
		}
		pos += (uint64_t)r;
	}
	conf_res("recv", r);
	conf_say("bytes %llu", (unsigned long long)pos);
	pthread_join(t, NULL);
	close(fd);
}

int main(void)
{
	return conf_two(both, both);
}
