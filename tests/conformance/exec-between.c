/* SPDX-License-Identifier: MIT */
/*
 * A program without the library is executed with the connection, forks a child
 * that keeps it, and executes one that has the library again, in the same
 * process. The two use it in turns. And the same where the library is named, but
 * is not there. The one that has it again executes itself, with connections of
 * its own.
 */
#include "serve.h"

#define TURNS 6
#define TRIPS 100
#define FIRST_TRIPS 8000 /* time enough to make rings, were that right */

/* Both are alive at the same time; only one of them uses it. */
static void turns(int fd, int from, int to, bool first)
{
	char c = 'x';

	for (int i = 0; i < TURNS; i++) {
		if ((i || !first) && read(from, &c, 1) != 1)
			_exit(91);
		for (int k = 0; k < (i || !first ? TRIPS : FIRST_TRIPS); k++) {
			conf_get(fd, &c, 1);
			conf_put(fd, &c, 1);
		}
		if (write(to, &c, 1) != 1)
			_exit(90);
	}
}

static void between(char **argv)
{
	int fd = atoi(argv[2]), ab[2], ba[2];
	char from[16], to[16];
	char *then[] = { argv[0], (char *)"again", argv[2], from, to, NULL };
	char *env[] = { argv[3], argv[4], NULL };

	if (pipe(ab) < 0 || pipe(ba) < 0)
		_exit(89);
	if (fork() == 0) {
		turns(fd, ab[0], ba[1], false);
		_exit(0);
	}
	snprintf(from, sizeof(from), "%d", ba[0]);
	snprintf(to, sizeof(to), "%d", ab[1]);
	execve("/proc/self/exe", then, env);
	_exit(88);
}

/* How the loader is told: not at all, or wrongly. */
static void serve(int fd, char *const env[])
{
	char num[16], dir[4200], lib[4200];
	char *argv[] = { (char *)"x", (char *)"between", num, lib, dir, NULL };
	pid_t pid;

	snprintf(num, sizeof(num), "%d", fd);
	snprintf(lib, sizeof(lib), "LD_PRELOAD=%s",
		 getenv("LD_PRELOAD") ? getenv("LD_PRELOAD") : "");
	snprintf(dir, sizeof(dir), "XVMC_DIR=%s", getenv("XVMC_DIR") ? getenv("XVMC_DIR") : "");
	pid = conf_fork();
	if (pid == 0) {
		execve("/proc/self/exe", argv, env);
		_exit(87);
	}
	close(fd);
	conf_wait(pid);
}

static void again(char **argv)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa);

	if (conf_connect(&sa) < 0 || accept(lfd, NULL, NULL) < 0)
		_exit(84);
	argv[1] = (char *)"last";
	execv("/proc/self/exe", argv);
	_exit(85);
}

static void without(int fd)
{
	char *env[] = { NULL };

	serve(fd, env);
}

static void wrongly(int fd)
{
	char *env[] = { (char *)"LD_PRELOAD=/does/not/exist/libxvmc.so", NULL };

	serve(fd, env);
}

static void client(int fd)
{
	char c = 'a';

	for (int i = 0; i < FIRST_TRIPS + (2 * TURNS - 1) * TRIPS; i++) {
		char got = 0;

		conf_put(fd, &c, 1);
		conf_get(fd, &got, 1);
		if (got != c)
			exit(86);
		c = c == 'z' ? 'a' : (char)(c + 1);
	}
	conf_say("all came back");
	conf_res("recv", recv(fd, &c, 1, 0));
}

int main(int argc, char **argv)
{
	alarm(60);
	if (argc > 1 && strcmp(argv[1], "between") == 0)
		between(argv);
	if (argc > 1 && strcmp(argv[1], "again") == 0)
		again(argv);
	if (argc > 1) {
		turns(atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), true);
		return 0;
	}
	conf_two(without, client);
	return conf_two(wrongly, client);
}
