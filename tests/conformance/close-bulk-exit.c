/* SPDX-License-Identifier: MIT */
/* Sends a lot to a slow reader, closes, and ends: all of it arrives. */
#include "conf.h"

#define SIZE 3000000u

static uint8_t big[SIZE];

static void server(int fd)
{
	conf_fill(big, SIZE, 0);
	conf_put(fd, big, SIZE);
	conf_res("close", close(fd));
}

static void client(int fd)
{
	size_t got = 0;
	ssize_t r = 1;

	while (r > 0) {
		conf_ms(30);
		for (size_t part = 0; part < 100000; part += (size_t)r) {
			r = recv(fd, big, 10000, 0);
			if (r <= 0 || !conf_same(big, (size_t)r, got))
				break;
			got += (size_t)r;
		}
	}
	conf_res("the last recv", r);
	conf_res("bytes", (long)got);
	conf_poll(fd, POLLIN | POLLRDHUP, 0);
}

int main(void)
{
	return conf_two(server, client);
}
