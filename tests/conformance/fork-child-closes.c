/* SPDX-License-Identifier: MIT */
/* Children that only close what they inherited do not disturb the parent. */
#include "conf.h"

static void server(int fd)
{
	char buf[16];
	int n = 0;

	while (recv(fd, buf, 4, MSG_WAITALL) == 4) {
		conf_put(fd, buf, 4);
		n++;
	}
	conf_say("trips %d", n);
}

static void client(int fd)
{
	char buf[16];
	int status;

	for (int i = 0; i < 20; i++) {
		pid_t pid;

		fflush(NULL);
		pid = fork();
		if (pid == 0) {
			if (i % 2)
				close(fd);
			_exit(0);
		}
		conf_put(fd, "ping", 4);
		conf_get(fd, buf, 4);
		waitpid(pid, &status, 0);
		conf_put(fd, "ping", 4);
		conf_get(fd, buf, 4);
	}
	conf_say("done");
	close(fd);
}

int main(void)
{
	return conf_two(server, client);
}
