/* SPDX-License-Identifier: MIT */
/* After fork the child speaks, then the parent, on the same connection. */
#include "conf.h"

static void server(int fd)
{
	char buf[16];

	for (int i = 0; i < 3; i++) {
		conf_res("recv", recv(fd, buf, 6, MSG_WAITALL));
		conf_say("%.6s", buf);
		conf_put(fd, "reply", 5);
	}
	conf_res("recv", recv(fd, buf, sizeof(buf), 0));
}

static void client(int fd)
{
	char buf[16];
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		conf_put(fd, "child.", 6);
		conf_get(fd, buf, 5);
		_exit(memcmp(buf, "reply", 5) ? 1 : 0);
	}
	waitpid(pid, &status, 0);
	conf_say("child: %d", status);
	conf_put(fd, "parent", 6);
	conf_get(fd, buf, 5);
	pid = fork();
	if (pid == 0) {
		if (write(fd, "child2", 6) != 6)
			_exit(2);
		conf_get(fd, buf, 5);
		_exit(memcmp(buf, "reply", 5) ? 1 : 0);
	}
	close(fd);
	waitpid(pid, &status, 0);
	conf_say("child: %d", status);
}

int main(void)
{
	return conf_two(server, client);
}
