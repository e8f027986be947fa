/* SPDX-License-Identifier: MIT */
/* SO_LINGER with a time: everything is delivered, then the end. */
#include "conf.h"

#define SIZE 400000u

static void server(int fd)
{
	static const struct linger linger = { 1, 10 };
	static uint8_t buf[SIZE];

	conf_fill(buf, SIZE, 0);
	conf_res("setsockopt",
		 setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	conf_put(fd, buf, SIZE);
	conf_res("close", close(fd));
	conf_step();
}

static void client(int fd)
{
	conf_drain(fd);
	conf_step();
}

int main(void)
{
	return conf_two(server, client);
}
