/* SPDX-License-Identifier: MIT */
/* The server ends its direction first, with bytes on the way both ways. */
#include "conf.h"

static void server(int fd)
{
	char buf[64];

	conf_put(fd, "all I have", 10);
	conf_res("shutdown", shutdown(fd, SHUT_WR));
	conf_step();
	conf_res("recv", recv(fd, buf, 12, MSG_WAITALL));
	conf_res("recv", recv(fd, buf, sizeof(buf), 0));
	conf_poll(fd, CONF_ALL, 0);
	close(fd);
}

static void client(int fd)
{
	char buf[64];

	conf_step();
	conf_res("recv", recv(fd, buf, 10, MSG_WAITALL));
	conf_res("recv", recv(fd, buf, sizeof(buf), 0));
	conf_poll(fd, CONF_ALL, 0);
	conf_put(fd, "and I answer", 12);
	conf_res("shutdown", shutdown(fd, SHUT_WR));
	conf_ms(50);
	conf_poll(fd, CONF_ALL, 0);
	close(fd);
}

int main(void)
{
	return conf_two(server, client);
}
