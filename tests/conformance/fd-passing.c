/* SPDX-License-Identifier: MIT */
/* A connection passed to another process by SCM_RIGHTS. */
#include "conf-pass.h"

static void server(int fd)
{
	char buf[16];

	conf_res("recv", recv(fd, buf, 6, MSG_WAITALL));
	conf_put(fd, "reply", 5);
	conf_res("recv", recv(fd, buf, 1, 0));
}

static void client(int fd)
{
	int sv[2], status;
	char buf[16];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		conf_die("socketpair");
	conf_put(fd, "abc", 3);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(fd);
		close(sv[0]);
		fd = conf_receive(sv[1]);
		conf_put(fd, "def", 3);
		conf_get(fd, buf, 5);
		_exit(memcmp(buf, "reply", 5) ? 1 : 0);
	}
	conf_pass(sv[0], fd);
	close(fd);
	waitpid(pid, &status, 0);
	conf_say("child: %d", status);
}

int main(void)
{
	return conf_two(server, client);
}
