/* SPDX-License-Identifier: MIT */
/* A connection that is close-on-exec ends with exec. */
#include "conf.h"

static void server(int fd)
{
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	conf_put(fd, "before", 6);
	conf_step();
	execlp("sleep", "sleep", "0.2", (char *)NULL);
	conf_say("no exec");
}

static void client(int fd)
{
	char buf[16];

	conf_step();
	conf_res("recv", recv(fd, buf, 6, MSG_WAITALL));
	conf_res("recv", recv(fd, buf, 6, 0));
	conf_res("send", send(fd, "x", 1, 0));
}

int main(void)
{
	return conf_two(server, client);
}
