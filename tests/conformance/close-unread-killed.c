/* SPDX-License-Identifier: MIT */
/* A process that is killed with bytes unread resets the connection. */
#include "conf.h"

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), fd, p[2];
	pid_t pid;
	char c;

	alarm(30);
	if (pipe(p) < 0)
		conf_die("pipe");
	pid = conf_fork();
	if (pid == 0) {
		fd = accept(lfd, NULL, NULL);
		conf_warm_server(fd);
		if (read(p[0], &c, 1) != 1)
			_exit(1);
		poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 2000);
		kill(getpid(), SIGKILL);
	}
	close(lfd);
	fd = conf_connect(&sa);
	conf_warm_client(fd);
	conf_put(fd, "never read", 10);
	conf_res("go", write(p[1], "g", 1));
	conf_wait(pid);
	conf_poll(fd, POLLIN | POLLRDHUP, 5000);
	conf_res("recv", recv(fd, &c, 1, 0));
	conf_res("recv", recv(fd, &c, 1, 0));
	return 0;
}
