/* SPDX-License-Identifier: MIT */
/* A process that ends with bytes unread resets the connection. */
#include "conf.h"

static void server(int fd)
{
	conf_poll(fd, POLLIN, 2000);
	conf_step();
}

static void client(int fd)
{
	char c;

	conf_put(fd, "never read", 10);
	conf_step();
	conf_poll(fd, POLLIN | POLLRDHUP, 5000);
	conf_res("recv", recv(fd, &c, 1, 0));
	conf_res("recv", recv(fd, &c, 1, 0));
}

int main(void)
{
	return conf_two(server, client);
}
