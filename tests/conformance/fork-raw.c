/* SPDX-License-Identifier: MIT */
/* Children made without fork(): _Fork() and the system call. */
#include <sys/syscall.h>

#include "fork-beside.h"

static void server(int fd)
{
	serve(fd, 4);
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
		ask(fd);
	}
	close(fd);
}

int main(void)
{
	return conf_two(server, client);
}
