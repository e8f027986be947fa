/* SPDX-License-Identifier: MIT */
/* Children made without fork(): _Fork() and the system call. */
#include <sys/syscall.h>

#include "conf.h"

static void server(int fd)
{
	char buf[16] = "";

	for (int i = 0; i < 4; i++) {
		conf_res("recv", recv(fd, buf, 6, MSG_WAITALL));
		conf_say("%s", buf);
		conf_put(fd, "answer", 6);
	}
	conf_res("recv", recv(fd, buf, 1, 0));
}

static void client(int fd)
{
	char buf[8];

	for (int i = 0; i < 2; i++) {
		pid_t pid;

		fflush(NULL);
		pid = i ? (pid_t)syscall(SYS_clone, SIGCHLD, 0L, 0L, 0L, 0L) : _Fork();
		if (pid == 0) {
			alarm(10);
			conf_put(fd, "child.", 6);
			conf_get(fd, buf, 6);
			_exit(memcmp(buf, "answer", 6) ? 1 : 0);
		}
		conf_wait(pid);
		conf_put(fd, "parent", 6);
		conf_get(fd, buf, 6);
	}
	close(fd);
}

int main(void)
{
	return conf_two(server, client);
}
