/* SPDX-License-Identifier: MIT */
/* Closing with bytes unread resets the connection. */
#include "conf.h"

static void server(int fd)
{
	conf_step();
	conf_ms(30);
	close(fd);
	conf_step();
}

static void client(int fd)
{
	char buf[16];

	conf_put(fd, "never read", 10);
	conf_step();
	conf_step();
	conf_ms(50);
	conf_poll(fd, CONF_ALL, 0);
	conf_res("recv", recv(fd, buf, sizeof(buf), 0));
	conf_res("recv", recv(fd, buf, sizeof(buf), 0));
	conf_res("send", send(fd, "x", 1, MSG_NOSIGNAL));
}

int main(void)
{
	return conf_two(server, client);
}
