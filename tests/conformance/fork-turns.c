/* SPDX-License-Identifier: MIT */
/* Five children write to one connection, one after the other, and the parent
 * in between. */
#include "conf.h"

#define CHILDREN 5

static void server(int fd)
{
	conf_step();
	conf_drain(fd);
}

static void client(int fd)
{
	uint8_t buf[1000];
	uint64_t pos = 0;

	for (int i = 0; i < CHILDREN; i++) {
		pid_t pid;

		conf_fill(buf, sizeof(buf), pos);
		pid = conf_fork();
		if (pid == 0) {
			conf_put(fd, buf, sizeof(buf));
			_exit(0);
		}
		conf_wait(pid);
		pos += sizeof(buf);
		conf_fill(buf, sizeof(buf), pos);
		conf_put(fd, buf, sizeof(buf));
		pos += sizeof(buf);
	}
	conf_step();
	close(fd);
}

int main(void)
{
	return conf_two(server, client);
}
