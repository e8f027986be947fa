/* SPDX-License-Identifier: MIT */
/* Closing right after writing delivers all of it; so does exiting. */
#include "conf.h"

#define TOTAL 50000u

static void server(int fd)
{
	static uint8_t buf[TOTAL + 1];
	size_t sum = 0;
	ssize_t r;

	conf_step();
	conf_ms(50);
	while ((r = recv(fd, buf + sum, sizeof(buf) - sum, 0)) > 0)
		sum += (size_t)r;
	conf_res("recv", r);
	conf_say("bytes %zu same %d", sum, conf_same(buf, sum, 0));
}

static void client(int fd)
{
	static uint8_t buf[TOTAL];

	conf_fill(buf, TOTAL, 0);
	conf_put(fd, buf, TOTAL);
	close(fd);
	conf_step();
}

int main(void)
{
	return conf_two(server, client);
}
