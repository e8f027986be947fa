/* SPDX-License-Identifier: MIT */
/* A program is run with a connection but without the library. */
#include "conf.h"

static void server(int fd)
{
	pid_t pid = conf_fork();

	if (pid == 0) {
		char *argv[] = { (char *)"cat", NULL }, *envp[] = { NULL };

		dup2(fd, 0);
		dup2(fd, 1);
		execve("/bin/cat", argv, envp);
		_exit(127);
	}
	close(fd);
	conf_wait(pid);
}

static void client(int fd)
{
	static uint8_t out[60000], in[60000];

	conf_fill(out, sizeof(out), 0);
	for (int i = 0; i < 3; i++) {
		conf_put(fd, out, sizeof(out));
		conf_get(fd, in, sizeof(in));
		conf_say("same %d", conf_same(in, sizeof(in), 0));
	}
	shutdown(fd, SHUT_WR);
	conf_res("recv", recv(fd, in, 1, 0));
}

int main(void)
{
	return conf_two(server, client);
}
