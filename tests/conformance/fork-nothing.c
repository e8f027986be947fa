/* SPDX-License-Identifier: MIT */
/* After a fork both write no bytes before they write any. */
#include "conf.h"

static void both(int fd)
{
	struct iovec none = { NULL, 0 };

	conf_res("send", send(fd, "", 0, 0));
	conf_res("write", write(fd, "", 0));
	conf_res("writev", writev(fd, &none, 1));
	conf_res("send", send(fd, "bytes", 5, 0));
	conf_res("send", send(fd, "", 0, 0));
}

static void server(int fd)
{
	char buf[10];

	conf_step();
	conf_res("recv", recv(fd, buf, 10, MSG_WAITALL));
	conf_res("recv", recv(fd, buf, 10, MSG_WAITALL));
}

static void client(int fd)
{
	pid_t pid;

	fflush(NULL);
	pid = conf_fork();
	if (pid == 0) {
		both(fd);
		fflush(NULL);
		_exit(0);
	}
	conf_wait(pid);
	both(fd);
	conf_step();
	close(fd);
}

int main(void)
{
	return conf_two(server, client);
}
