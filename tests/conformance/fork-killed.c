/* SPDX-License-Identifier: MIT */
/* A child that used the connection is killed; the parent goes on. */
#include "conf.h"

static void server(int fd)
{
	char buf[16] = "";

	for (int i = 0; i < 2; i++) {
		conf_res("recv", recv(fd, buf, 6, MSG_WAITALL));
		conf_say("%s", buf);
		conf_put(fd, "answer", 6);
	}
	conf_res("recv", recv(fd, buf, 1, 0));
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
	conf_put(fd, "parent", 6);
	conf_get(fd, buf, 6);
	close(fd);
}

int main(void)
{
	return conf_two(server, client);
}
