/* SPDX-License-Identifier: MIT */
/* posix_spawn gives a connection to another program. */
#include <spawn.h>

#include "conf.h"

extern char **environ;

static void server(int fd)
{
	char *argv[] = { (char *)"cat", NULL };
	posix_spawn_file_actions_t fa;
	pid_t pid;

	fcntl(fd, F_SETFD, FD_CLOEXEC);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, fd, 0);
	posix_spawn_file_actions_adddup2(&fa, fd, 1);
	posix_spawn_file_actions_addclose(&fa, fd);
	conf_res("posix_spawnp", posix_spawnp(&pid, "cat", &fa, NULL, argv, environ));
	posix_spawn_file_actions_destroy(&fa);
	close(fd);
	conf_wait(pid);
}

static void client(int fd)
{
	char buf[16] = "";

	for (int i = 0; i < 20; i++) {
		conf_put(fd, "through cat", 11);
		conf_get(fd, buf, 11);
	}
	conf_say("%s", buf);
	shutdown(fd, SHUT_WR);
	conf_res("recv", recv(fd, buf, 1, 0));
}

int main(void)
{
	return conf_two(server, client);
}
