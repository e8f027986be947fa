/* SPDX-License-Identifier: MIT */
/* A server that becomes a daemon by hand after the connection was made: it
 * forks twice, and the parents end by exit(). */
#include "conf.h"

static void serve(int fd)
{
	char buf[16] = "";

	alarm(20);
	conf_res("recv", recv(fd, buf, 6, MSG_WAITALL));
	conf_say("%s", buf);
	conf_put(fd, "answer", 6);
	conf_res("recv", recv(fd, buf, 1, 0));
}

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

static void client(int fd)
{
	char buf[16] = "";

	conf_get(fd, buf, 6);
	conf_say("%s", buf);
	conf_ms(50); /* the parents are gone */
	conf_put(fd, "please", 6);
	conf_get(fd, buf, 6);
	conf_say("%s", buf);
	close(fd);
}

int main(void)
{
	return conf_two(server, client);
}
