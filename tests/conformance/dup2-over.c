/* SPDX-License-Identifier: MIT */
/* dup2 of something else over a connection closes it. */
#include "conf.h"

static void server(int fd)
{
	char buf[16];

	conf_res("recv", recv(fd, buf, 3, MSG_WAITALL));
	conf_res("recv", recv(fd, buf, sizeof(buf), 0));
	conf_poll(fd, CONF_ALL, 0);
	close(fd);
}

static void client(int fd)
{
	int pfd[2];
	char c;

	if (pipe(pfd) < 0)
		conf_die("pipe");
	conf_put(fd, "abc", 3);
	conf_say("dup2: %s", dup2(pfd[0], fd) == fd ? "yes" : "no");
	if (write(pfd[1], "x", 1) != 1)
		conf_die("write");
	conf_res("read", read(fd, &c, 1));
	conf_res("recv", recv(fd, &c, 1, 0));
	conf_say("dup2 onto itself: %s", dup2(fd, fd) == fd ? "yes" : "no");
	conf_res("dup2 of nothing", dup2(900, fd));
	conf_res("dup3 onto itself", dup3(fd, fd, 0));
}

int main(void)
{
	return conf_two(server, client);
}
