/* SPDX-License-Identifier: MIT */
/* A process that writes and ends without closing; then one that is killed. */
#include "conf.h"

#define TOTAL 50000u

static void once(bool killed)
{
	static uint8_t buf[TOTAL];
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), fd, status;
	pid_t pid = fork();

	if (pid == 0) {
		fd = conf_connect(&sa);
		conf_warm_client(fd);
		conf_fill(buf, TOTAL, 0);
		conf_put(fd, buf, TOTAL);
		if (killed)
			kill(getpid(), SIGKILL);
		_exit(0);
	}
	fd = accept(lfd, NULL, NULL);
	conf_warm_server(fd);
	waitpid(pid, &status, 0);
	if (killed)
		conf_drain_killed(fd);
	else
		conf_drain(fd);
	close(fd);
	close(lfd);
}

int main(void)
{
	alarm(60);
	once(false);
	once(true);
	return 0;
}
