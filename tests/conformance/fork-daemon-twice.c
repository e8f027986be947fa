/* SPDX-License-Identifier: MIT */
/* A server that becomes a daemon by hand after the connection was made: it
 * forks twice, and the parents end by exit(). */
#include "daemon.h"

static void server(int fd)
{
	conf_put(fd, "before", 6);
	if (conf_fork() != 0)
		exit(0);
	setsid();
	if (conf_fork() != 0)
		exit(0);
	serve(fd);
}

int main(void)
{
	return conf_two(server, client);
}
