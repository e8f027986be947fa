/* SPDX-License-Identifier: MIT */
/* A reset on close, by SO_LINGER with no time, behind bytes that arrived. */
#include "conf.h"

static void server(int fd)
{
	conf_put(fd, "last words", 10);
	conf_step();
	conf_step();
	conf_reset(fd);
	conf_step();
}

static void client(int fd)
{
	char buf[16];

	signal(SIGPIPE, SIG_IGN);
	conf_step();
	conf_poll(fd, POLLIN, 2000);
	conf_step();
	conf_step();
	conf_poll(fd, POLLERR, 2000);
	conf_poll(fd, CONF_ALL, 0);
	conf_res("recv", recv(fd, buf, sizeof(buf), 0));
	conf_res("recv", recv(fd, buf, sizeof(buf), 0));
	conf_res("recv", recv(fd, buf, sizeof(buf), 0));
	conf_res("send", send(fd, "x", 1, 0));
}

int main(void)
{
	return conf_two(server, client);
}
