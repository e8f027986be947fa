/* SPDX-License-Identifier: MIT */
/*
 * A process that has used a connection forks a child for it, and keeps it open
 * without using it: the child is alone with it. Until the other uses it again,
 * once and then in turns; and when the child has ended, that one is alone.
 */
#include "serve.h"

#define TURNS 5

static int to_child[2], to_parent[2];

static void child(int fd)
{
	conf_warm_server(fd);
	serve_trips(fd);
	for (int i = 0; i < TURNS; i++) {
		serve_tell(to_parent);
		serve_await(to_child);
		serve_trips(fd);
	}
	_exit(0);
}

static void monitor(int fd, pid_t pid)
{
	for (int i = 0; i < TURNS; i++) {
		serve_await(to_parent);
		serve_trips(fd);
		serve_tell(to_child);
	}
	conf_wait(pid);
}

static void server(const struct sockaddr_in *sa, int lfd, bool warm)
{
	pid_t client = serve_client(sa, warm ? "wwttttttttttttwt" :
					       "twtttttttttttwt"), pid;
	int fd = serve_accept(lfd);

	if (warm)
		conf_warm_server(fd);
	else
		serve_trips(fd);
	pid = conf_fork();
	if (pid == 0)
		child(fd);
	monitor(fd, pid);
	if (warm)
		serve_trips(fd);
	conf_warm_server(fd);
	serve_trips(fd);
	conf_res("close", close(fd));
	conf_wait(client);
}

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa);

	alarm(60);
	if (pipe(to_child) < 0 || pipe(to_parent) < 0)
		conf_die("pipe");
	server(&sa, lfd, false);
	server(&sa, lfd, true);
	return 0;
}
