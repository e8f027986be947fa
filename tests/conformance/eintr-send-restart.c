/* SPDX-License-Identifier: MIT */
/* A blocked send of which some went, and a signal with SA_RESTART. */
#include "conf.h"

static void server(int fd)
{
	conf_step();
	conf_read_out(fd);
}

static void client(int fd)
{
	static uint8_t big[30000000];
	struct conf_later l;
	ssize_t r;

	conf_count(SIGUSR1, SA_RESTART);
	conf_later(&l, SIGUSR1, -1, NULL);
	r = send(fd, big, sizeof(big), 0);
	conf_say("partly: %s", r > 0 && r < (ssize_t)sizeof(big) ? "yes" : "no");
	pthread_join(l.thread, NULL);
	conf_step();
	shutdown(fd, SHUT_WR);
}

int main(void)
{
	return conf_two(server, client);
}
