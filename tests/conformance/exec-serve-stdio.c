/* SPDX-License-Identifier: MIT */
/* As inetd does it: the connection is a program's standard input and output.
 * The one serves like that; the other moves it elsewhere first, and says
 * something to its own standard output meanwhile. */
#include "serve.h"

static char none[] = "/dev/null";

static void as_it_is(void)
{
	for (int i = 0; i < 2; i++)
		serve_trips(i);
	printf("%s", "bye");
	fflush(stdout);
	_exit(0);
}

static void elsewhere(void)
{
	int fd = dup(0), null = open(none, O_RDWR);

	if (fd < 0 || null < 0)
		_exit(92);
	for (int i = 0; i < 3; i++)
		dup2(null, i);
	printf("%s", "not for the other end");
	fflush(stdout);
	conf_warm_server(fd);
	serve_trips(fd);
	serve_end(fd);
}

static void start(int fd, const char *how)
{
	dup2(fd, 0);
	dup2(fd, 1);
	dup2(fd, 2);
	close(fd);
	execl("/proc/self/exe", "serve", how, (char *)NULL);
	_exit(93);
}

static void child(int fd)
{
	start(fd, "elsewhere");
}

static void one(const char *how)
{
	struct sockaddr_in sa;
	char buf[8] = "";
	int lfd = conf_listen(&sa), fd, cfd = conf_connect(&sa);
	pid_t pid;

	fd = serve_accept(lfd);
	pid = conf_fork();
	if (pid == 0) {
		close(cfd);
		start(fd, how);
	}
	close(fd);
	for (int i = 0; i < 2; i++)
		client_trips(cfd);
	conf_res("recv", recv(cfd, buf, 7, MSG_WAITALL));
	conf_say("%s", buf);
	close(cfd);
	close(lfd);
	conf_wait(pid);
}

int main(int argc, char **argv)
{
	alarm(60);
	if (argc > 1 && strcmp(argv[1], "elsewhere") == 0)
		elsewhere();
	if (argc > 1)
		as_it_is();
	one("as it is");
	return serve_by("wt", child);
}
