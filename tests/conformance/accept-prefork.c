/* SPDX-License-Identifier: MIT */
/* Children made before there was a connection share the listener. */
#include "conf.h"

#define WORKERS 3

static void serve(int lfd)
{
	int fd = accept(lfd, NULL, NULL);

	if (fd < 0)
		_exit(1);
	conf_warm_server(fd);
	conf_put(fd, "served", 6);
	_exit(0);
}

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), fd[WORKERS];
	pid_t pid[WORKERS];
	char buf[8];

	for (int i = 0; i < WORKERS; i++) {
		pid[i] = conf_fork();
		if (pid[i] == 0)
			serve(lfd);
	}
	for (int i = 0; i < WORKERS; i++) {
		fd[i] = conf_connect(&sa);
		conf_warm_client(fd[i]);
	}
	for (int i = 0; i < WORKERS; i++) {
		conf_res("recv", recv(fd[i], buf, 6, MSG_WAITALL));
		conf_say("%.6s", buf);
		conf_res("recv", recv(fd[i], buf, 6, MSG_WAITALL));
	}
	for (int i = 0; i < WORKERS; i++)
		conf_wait(pid[i]);
	return 0;
}
