/* SPDX-License-Identifier: MIT */
/* The child of a child uses the connection, when both others have closed it. */
#include "conf.h"

static void server(int fd)
{
	char buf[16] = "";

	conf_res("recv", recv(fd, buf, 10, MSG_WAITALL));
	conf_say("%s", buf);
	conf_put(fd, "hello", 5);
	conf_res("recv", recv(fd, buf, 10, 0));
}

static void client(int fd)
{
	char buf[16];
	pid_t pid = conf_fork();

	if (pid == 0) {
		int status;

		pid = fork();
		if (pid == 0) {
			alarm(20);
			conf_put(fd, "grandchild", 10);
			conf_get(fd, buf, 5);
			_exit(memcmp(buf, "hello", 5) ? 1 : 0);
		}
		close(fd);
		waitpid(pid, &status, 0);
		_exit(WEXITSTATUS(status));
	}
	close(fd);
	conf_wait(pid);
}

int main(void)
{
	return conf_two(server, client);
}
