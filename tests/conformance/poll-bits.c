/* SPDX-License-Identifier: MIT */
/* What poll says of a connection in each of its states. */
#include "conf.h"

static void server(int fd)
{
	static const struct linger reset = { .l_onoff = 1 };
	char buf[16];

	conf_step(); /* idle */
	conf_put(fd, "abc", 3);
	conf_step();
	conf_step(); /* read by now */
	shutdown(fd, SHUT_WR);
	conf_step();
	conf_res("recv", recv(fd, buf, sizeof(buf), 0));
	conf_poll(fd, CONF_ALL, 0);
	conf_step();
	conf_res("recv", recv(fd, buf, sizeof(buf), 0));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
	conf_step();
}

static void client(int fd)
{
	char buf[16];

	conf_poll(fd, CONF_ALL, 0);
	conf_poll(fd, POLLIN, 0);
	conf_poll(fd, 0, 0);
	conf_step();
	conf_step();
	conf_poll(fd, CONF_ALL, 1000);
	conf_poll(fd, POLLOUT, 0);
	conf_poll(fd, POLLRDNORM, 0);
	conf_res("recv", recv(fd, buf, sizeof(buf), 0));
	conf_poll(fd, CONF_ALL, 0);
	conf_step();
	conf_step();
	conf_poll(fd, POLLRDHUP, 1000);
	conf_poll(fd, CONF_ALL, 0);
	conf_put(fd, "xyz", 3);
	conf_step();
	shutdown(fd, SHUT_WR);
	conf_step();
	conf_ms(50);
	conf_poll(fd, CONF_ALL, 0);
	conf_poll(fd, 0, 0);
}

int main(void)
{
	return conf_two(server, client);
}
