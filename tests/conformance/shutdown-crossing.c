/* SPDX-License-Identifier: MIT */
/* Both ends shut down for writing at the same time. */
#include "conf.h"

static void end(int fd, const char *text)
{
	char buf[64];

	conf_step();
	conf_put(fd, text, strlen(text));
	conf_res("WR", shutdown(fd, SHUT_WR));
	conf_res("recv", recv(fd, buf, sizeof(buf), MSG_WAITALL));
	conf_res("recv", recv(fd, buf, sizeof(buf), 0));
	conf_poll(fd, POLLIN | POLLOUT | POLLRDHUP, 2000);
	conf_res("send", send(fd, "x", 1, MSG_NOSIGNAL));
	conf_step();
}

static void server(int fd)
{
	end(fd, "from the server");
}

static void client(int fd)
{
	end(fd, "from the client, longer");
}

int main(void)
{
	return conf_two(server, client);
}
