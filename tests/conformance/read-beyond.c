/* SPDX-License-Identifier: MIT */
/* No byte of the buffer behind those that a read returns is touched. */
#include "conf.h"

#define TRIPS 400

static void server(int fd)
{
	for (int i = 0; i < TRIPS; i++) {
		char c;

		conf_get(fd, &c, 1);
		if (i % 8 == 0)
			conf_ms(1); /* the client sleeps */
		conf_put(fd, "abc", 3);
	}
}

static void client(int fd)
{
	int touched = 0;

	for (int i = 0; i < TRIPS; i++) {
		char buf[256] = "";
		size_t n = 0;
		ssize_t r;

		conf_put(fd, "x", 1);
		while (n < 3) {
			r = recv(fd, buf + n, sizeof(buf) - n, 0);
			if (r <= 0)
				conf_die("recv");
			n += (size_t)r;
		}
		for (size_t k = n; k < sizeof(buf); k++)
			if (buf[k]) {
				touched++;
				break;
			}
	}
	conf_say("touched: %s", touched ? "yes" : "no");
}

int main(void)
{
	return conf_two(server, client);
}
