/* SPDX-License-Identifier: MIT */
/* POLLOUT of a socket whose peer does not read, and once it does. */
#include "conf.h"

static void server(int fd)
{
	uint64_t bytes;
	bool same;

	conf_step();
	conf_step();
	conf_res("recv", conf_drain_to(fd, &bytes, &same));
	conf_say("same %d", same);
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
