/* SPDX-License-Identifier: MIT */
/* The client ends its direction; the server goes on for a while. */
#include "conf.h"

static void server(int fd)
{
	char buf[16];

	conf_res("recv", recv(fd, buf, sizeof(buf), MSG_WAITALL));
	conf_res("recv", recv(fd, buf, sizeof(buf), 0));
	conf_poll(fd, CONF_ALL, 0);
	conf_put(fd, "still here", 10);
	conf_step();
	conf_res("shutdown", shutdown(fd, SHUT_WR));
	conf_step();
	conf_poll(fd, CONF_ALL, 0);
	conf_res("close", close(fd));
}

static void client(int fd)
{
	char buf[16];

	conf_put(fd, "last words", 10);
	conf_res("shutdown", shutdown(fd, SHUT_WR));
	conf_res("send", send(fd, "x", 1, MSG_NOSIGNAL));
	conf_poll(fd, POLLOUT | POLLRDHUP, 0);
	conf_step();
	conf_res("recv", recv(fd, buf, 10, MSG_WAITALL));
	conf_step();
	conf_res("recv", recv(fd, buf, sizeof(buf), 0));
	conf_poll(fd, CONF_ALL, 0);
	conf_res("shutdown", shutdown(fd, SHUT_WR));
	conf_res("close", close(fd));
}

int main(void)
{
	return conf_two(server, client);
}
