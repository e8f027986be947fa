/* SPDX-License-Identifier: MIT */
/* A child that has the connection to itself starts a program that uses it as
 * well: from then on nobody is alone. */
#include "serve.h"

static void child(int fd)
{
	char num[16], *argv[] = { (char *)"trips", num, NULL };
	pid_t pid;

	conf_warm_server(fd);
	serve_trips(fd);
	pid = conf_fork();
	if (pid == 0) {
		snprintf(num, sizeof(num), "%d", fd);
		execv("/proc/self/exe", argv);
		_exit(93);
	}
	conf_wait(pid);
	serve_trips(fd);
	serve_end(fd);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		serve_trips(atoi(argv[1]));
		return 0;
	}
	return serve_by("wttt", child);
}
