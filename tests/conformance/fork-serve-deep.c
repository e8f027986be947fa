/* SPDX-License-Identifier: MIT */
/* The child of a child serves, and the child of that one goes on. */
#include "serve.h"

static void great_grandchild(int fd)
{
	conf_warm_server(fd);
	serve_trips(fd);
	serve_end(fd);
}

static void grandchild(int fd)
{
	pid_t pid;

	conf_warm_server(fd);
	serve_trips(fd);
	pid = conf_fork();
	if (pid == 0)
		great_grandchild(fd);
	close(fd);
	conf_wait(pid);
	_exit(0);
}

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), fd;
	pid_t client, child;

	client = serve_client(&sa, "wtwt");
	fd = serve_accept(lfd);
	child = conf_fork();
	if (child == 0) {
		pid_t pid = conf_fork();

		if (pid == 0)
			grandchild(fd);
		close(fd);
		conf_wait(pid);
		_exit(0);
	}
	conf_res("close", close(fd));
	conf_wait(client);
	conf_wait(child);
	return 0;
}
