/* SPDX-License-Identifier: MIT */
/* SHUT_RDWR: the peer reads everything and then the end; the caller neither
 * reads nor writes. */
#include "conf.h"

static void server(int fd)
{
	static uint8_t buf[100000];

	conf_fill(buf, sizeof(buf), 0);
	conf_put(fd, buf, sizeof(buf));
	conf_res("RDWR", shutdown(fd, SHUT_RDWR));
	conf_res("send", send(fd, "x", 1, MSG_NOSIGNAL));
	conf_res("recv", recv(fd, buf, 1, 0));
	conf_poll(fd, CONF_ALL, 0);
	conf_step();
}

static void client(int fd)
{
	conf_step();
	conf_drain(fd);
}

int main(void)
{
	return conf_two(server, client);
}
