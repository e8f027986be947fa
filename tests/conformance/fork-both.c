/* SPDX-License-Identifier: MIT */
/* After fork the parent writes and the child reads, at the same time. */
#include "conf.h"

#define SIZE 200000u

static void server(int fd)
{
	static uint8_t buf[SIZE];
	size_t pos = 0;

	while (pos < SIZE) {
		size_t n = SIZE - pos < 5000 ? SIZE - pos : 5000;

		conf_get(fd, buf + pos, n);
		conf_put(fd, buf + pos, n);
		pos += n;
	}
	conf_res("recv", recv(fd, buf, 1, 0));
}

static void client(int fd)
{
	static uint8_t buf[SIZE];
	pid_t pid = conf_fork();

	if (pid == 0) {
		conf_get(fd, buf, SIZE);
		_exit(conf_same(buf, SIZE, 0) ? 0 : 1);
	}
	conf_fill(buf, SIZE, 0);
	conf_put(fd, buf, SIZE);
	conf_wait(pid);
	conf_res("WR", shutdown(fd, SHUT_WR));
	conf_res("recv", recv(fd, buf, 1, 0));
}

int main(void)
{
	return conf_two(server, client);
}
