/* SPDX-License-Identifier: MIT */
/* A child executes a program with the connection, which is alone with it then:
 * by each of the calls, one after the other; and the last forks a child. */
#include "serve.h"

static char num[16], step[16];

/* This program anew, told how far it is. */
static void again(int fd, int done)
{
	char *argv[] = { (char *)"serve", num, step, NULL };

	snprintf(num, sizeof(num), "%d", fd);
	snprintf(step, sizeof(step), "%d", done);
	switch (done) {
	case 0:
		execv("/proc/self/exe", argv);
		break;
	case 1:
		execl("/proc/self/exe", argv[0], num, step, (char *)NULL);
		break;
	case 2:
		execve("/proc/self/exe", argv, environ);
		break;
	default:
		setenv("PATH", "/does/not/exist:/proc/self", 1);
		execvp("exe", argv);
	}
	_exit(93);
}

static void served(int fd, int done)
{
	pid_t pid;

	conf_warm_server(fd);
	serve_trips(fd);
	if (done < 4)
		again(fd, done);
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

static void child(int fd)
{
	again(fd, 0);
}

int main(int argc, char **argv)
{
	alarm(60);
	if (argc > 2)
		served(atoi(argv[1]), atoi(argv[2]) + 1);
	return serve_by("wtwtwtwtwt", child);
}
