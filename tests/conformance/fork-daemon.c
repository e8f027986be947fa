/* SPDX-License-Identifier: MIT */
/* A server that calls daemon() after the connection was made: the parent ends
 * by _exit(). */
#include "daemon.h"

static void server(int fd)
{
	conf_put(fd, "before", 6);
	conf_res("daemon", daemon(1, 1));
	serve(fd);
}

int main(void)
{
	return conf_two(server, client);
}
