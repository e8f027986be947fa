/* SPDX-License-Identifier: MIT */
/* A sleeper on a connection and a pipe is woken by the pipe. */
#include "conf.h"

static int pfd[2];

static void *writer(void *arg)
{
	(void)arg;
	conf_ms(100);
	if (write(pfd[1], "x", 1) != 1)
		conf_die("write");
	return NULL;
}

int main(void)
{
	struct pollfd p[2];
	pthread_t t;
	int a, b;

	conf_pair(&a, &b);
	if (pipe(pfd) < 0)
		conf_die("pipe");
	pthread_create(&t, NULL, writer, NULL);
	p[0] = (struct pollfd){ .fd = b, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = pfd[0], .events = POLLIN };
	conf_res("poll", poll(p, 2, 5000));
	conf_say("connection %d, pipe %s", p[0].revents,
		 conf_bits((unsigned short)p[1].revents));
	pthread_join(t, NULL);
	return 0;
}
