/* SPDX-License-Identifier: MIT */
/* A proxy that moves everything from one connection to another by splice. */
#include "conf.h"

#define SIZE 500000u

static int in_fd, out_fd;
static uint8_t buf[SIZE];

static void *proxy(void *arg)
{
	int p[2];
	ssize_t n, r;

	(void)arg;
	if (pipe(p) < 0)
		conf_die("pipe");
	while ((n = splice(in_fd, NULL, p[1], NULL, 65536, SPLICE_F_MOVE)) > 0)
		for (; n > 0; n -= r) {
			r = splice(p[0], NULL, out_fd, NULL, (size_t)n, SPLICE_F_MOVE);
			if (r <= 0)
				conf_die("splice");
		}
	conf_res("splice", n);
	shutdown(out_fd, SHUT_WR);
	return NULL;
}

static void *writer(void *arg)
{
	conf_put(*(int *)arg, buf, SIZE);
	shutdown(*(int *)arg, SHUT_WR);
	return NULL;
}

int main(void)
{
	pthread_t t[2];
	int a, d;

	conf_fill(buf, SIZE, 0);
	conf_pair(&a, &in_fd);
	conf_pair(&out_fd, &d);
	pthread_create(&t[0], NULL, proxy, NULL);
	pthread_create(&t[1], NULL, writer, &a);
	conf_drain(d);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	return 0;
}
