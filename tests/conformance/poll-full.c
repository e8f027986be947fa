/* SPDX-License-Identifier: MIT */
/* POLLOUT of a socket whose peer does not read, and once it does. */
#include "conf.h"

static void server(int fd)
{
	static uint8_t buf[65536];
	uint64_t pos = 0;
	ssize_t r;

	conf_step();
	conf_step();
	while ((r = recv(fd, buf, sizeof(buf), 0)) > 0) {
		if (!conf_same(buf, (size_t)r, pos))
			conf_say("wrong content");
		pos += (uint64_t)r;
	}
	conf_res("recv", r);
}

static void client(int fd)
{
	size_t sum = conf_stuff(fd, 0);

	conf_step();
	conf_poll(fd, POLLOUT, 0);
	conf_poll(fd, POLLOUT, 50);
	conf_step();
	conf_poll(fd, POLLOUT, 5000);
	conf_say("filled: %s", sum ? "yes" : "no");
	close(fd);
}

int main(void)
{
	return conf_two(server, client);
}
