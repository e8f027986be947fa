/* SPDX-License-Identifier: MIT */
/* Bytes unread at fork: the child reads some, the parent the rest. */
#include "conf.h"

static void server(int fd)
{
	conf_put(fd, "0123456789", 10);
	conf_step();
	conf_step();
	conf_put(fd, "more", 4);
}

static void client(int fd)
{
	char buf[16] = "";
	pid_t pid;

	conf_step();
	conf_poll(fd, POLLIN, 2000);
	pid = conf_fork();
	if (pid == 0) {
		conf_get(fd, buf, 4);
		_exit(memcmp(buf, "0123", 4) ? 1 : 0);
	}
	conf_wait(pid);
	conf_res("recv", recv(fd, buf, 6, MSG_WAITALL));
	conf_say("%s", buf);
	conf_step();
	conf_res("recv", recv(fd, buf, 16, MSG_WAITALL));
	conf_say("%.4s", buf);
}

int main(void)
{
	return conf_two(server, client);
}
