/* SPDX-License-Identifier: MIT */
/* inetd: the connection becomes another program's standard input and output. */
#include "conf.h"

static void server(int fd)
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		dup2(fd, 0);
		dup2(fd, 1);
		close(fd);
		execlp("cat", "cat", (char *)NULL);
		_exit(127);
	}
	close(fd);
	waitpid(pid, &status, 0);
	conf_say("cat: %d", status);
}

static void client(int fd)
{
	static uint8_t out[100000], in[100000];

	conf_fill(out, sizeof(out), 0);
	for (int i = 0; i < 4; i++) {
		conf_put(fd, out, 1000);
		conf_get(fd, in, 1000);
		conf_say("same: %d", conf_same(in, 1000, 0));
	}
	conf_put(fd, out, sizeof(out));
	shutdown(fd, SHUT_WR);
	conf_get(fd, in, sizeof(in));
	conf_say("same: %d", conf_same(in, sizeof(in), 0));
	conf_res("recv", recv(fd, in, 1, 0));
}

int main(void)
{
	return conf_two(server, client);
}
