/* SPDX-License-Identifier: MIT */
/* A daemon that closes every descriptor it does not know keeps what it keeps. */
#include "conf.h"

static void server(int fd)
{
	char buf[16];

	while (recv(fd, buf, 4, MSG_WAITALL) == 4)
		conf_put(fd, buf, 4);
	conf_say("end");
}

static void client(int fd)
{
	int keep = dup2(fd, 50);
	char buf[16];

	close(fd);
	for (int i = 100; i < 1024; i++)
		close(i);
	conf_put(keep, "ping", 4);
	conf_get(keep, buf, 4);
	conf_res("close_range", close_range(100, ~0u, 0));
	conf_put(keep, "ping", 4);
	conf_get(keep, buf, 4);
	closefrom(60);
	conf_put(keep, "ping", 4);
	conf_get(keep, buf, 4);
	conf_res("close_range", close_range(50, 50, 0));
	conf_res("send", send(keep, "x", 1, 0));
}

int main(void)
{
	return conf_two(server, client);
}
