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
	return serve_by("wttwtwt", child);
}
