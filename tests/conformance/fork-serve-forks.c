/* SPDX-License-Identifier: MIT */
/* A child that has the connection to itself forks: its child serves, it goes
 * on, and then leaves all to another child. */
#include "serve.h"

static void child(int fd)
{
	pid_t pid;

	conf_warm_server(fd);
	serve_trips(fd);
	pid = conf_fork();
	if (pid == 0) {
		serve_trips(fd);
		_exit(0);
	}
	conf_wait(pid);
	conf_warm_server(fd);
	serve_trips(fd);
	pid = conf_fork();
	if (pid == 0) {
		conf_warm_server(fd);
		serve_trips(fd);
		serve_end(fd);
	}
	close(fd);
	conf_wait(pid);
	_exit(0);
}

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), fd;
	pid_t client, pid;

	client = serve_client(&sa, "wttwtwt");
	fd = serve_accept(lfd);
	pid = conf_fork();
	if (pid == 0)
		child(fd);
	conf_res("close", close(fd));
	conf_wait(client);
	conf_wait(pid);
	return 0;
}
