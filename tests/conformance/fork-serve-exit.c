/* SPDX-License-Identifier: MIT */
/* A server that has served for a while becomes a daemon: its child goes on
 * when it has ended by exit(), and has the connection to itself. */
#include "serve.h"

static void server(int lfd, const int gone[2])
{
	int fd = serve_accept(lfd);

	conf_warm_server(fd);
	serve_trips(fd);
	if (conf_fork() != 0)
		exit(0);
	serve_await(gone);
	conf_warm_server(fd);
	serve_trips(fd);
	serve_end(fd);
}

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), gone[2];
	pid_t client, pid;

	if (pipe(gone) < 0)
		conf_die("pipe");
	client = serve_client(&sa, "wtwt");
	pid = conf_fork();
	if (pid == 0)
		server(lfd, gone);
	conf_wait(pid);
	serve_tell(gone);
	conf_wait(client);
	return 0;
}
