/* SPDX-License-Identifier: MIT */
/* A reset is told once: to the first who reads, writes or asks. */
#include "conf.h"

static void server(int fd)
{
	conf_step();
	conf_reset(fd);
	conf_step();
}

static void by_recv(int fd)
{
	char c;

	conf_step();
	conf_step();
	conf_poll(fd, 0, 2000);
	conf_res("recv", recv(fd, &c, 1, 0));
	conf_res("recv", recv(fd, &c, 1, 0));
	conf_res("send", send(fd, "x", 1, MSG_NOSIGNAL));
	conf_poll(fd, CONF_ALL, 0);
}

static void by_send(int fd)
{
	char c;

	conf_step();
	conf_step();
	conf_poll(fd, 0, 2000);
	conf_res("send", send(fd, "x", 1, MSG_NOSIGNAL));
	conf_res("send", send(fd, "x", 1, MSG_NOSIGNAL));
	conf_res("recv", recv(fd, &c, 1, 0));
	conf_poll(fd, CONF_ALL, 0);
}

int main(void)
{
	int r = conf_two(server, by_recv);

	return conf_two(server, by_send) || r;
}
