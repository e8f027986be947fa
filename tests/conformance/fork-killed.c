/* SPDX-License-Identifier: MIT */
/* A child that used the connection is killed; the parent goes on. */
#include "fork-beside.h"

static void server(int fd)
{
	serve(fd, 2);
}

static void client(int fd)
{
	char buf[8];
	pid_t pid = conf_fork();

	if (pid == 0) {
		conf_put(fd, "child.", 6);
		conf_get(fd, buf, 6);
		kill(getpid(), SIGKILL);
	}
	conf_wait(pid);
	ask(fd);
	close(fd);
}

int main(void)
{
	return conf_two(server, client);
}
