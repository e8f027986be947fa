/* SPDX-License-Identifier: MIT */
/* A blocked send, interrupted before and after some bytes went. */
#include "conf.h"

static void server(int fd)
{
	conf_step();
	conf_step();
	conf_read_out(fd);
}

static void client(int fd)
{
	static uint8_t big[30000000];
	struct conf_later l;
	ssize_t r;

	conf_count(SIGUSR1, 0);
	conf_later(&l, SIGUSR1, -1, NULL);
	r = send(fd, big, sizeof(big), 0);
	conf_say("partly: %s", r > 0 && r < (ssize_t)sizeof(big) ? "yes" : "no");
	pthread_join(l.thread, NULL);
	conf_stuff(fd, 0);
	conf_later(&l, SIGUSR1, -1, NULL);
	/* What was full may have got room for a little. */
	r = send(fd, big, sizeof(big), 0);
	conf_say("stopped: %s", r < (ssize_t)sizeof(big) ? "yes" : "no");
	pthread_join(l.thread, NULL);
	conf_say("signals %d", (int)conf_signals);
	conf_step();
	conf_step();
	conf_res("send", send(fd, big, 3000000, 0));
	shutdown(fd, SHUT_WR);
}

int main(void)
{
	return conf_two(server, client);
}
