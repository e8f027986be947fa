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
	struct sockaddr_in sa;
	int lfd, fd;
	pid_t client, pid;

	if (argc > 1) {
		serve_trips(atoi(argv[1]));
		return 0;
	}
	lfd = conf_listen(&sa);
	client = serve_client(&sa, "wttt");
	fd = serve_accept(lfd);
	pid = conf_fork();
	if (pid == 0)
		child(fd);
	conf_res("close", close(fd));
	conf_wait(client);
	conf_wait(pid);
	return 0;
}
