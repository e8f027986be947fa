/* SPDX-License-Identifier: MIT */
/* Everything is closed but what is said: the peers see the end, and the
 * process begins anew. */
#include "conf.h"

static void server(int fd)
{
	struct sockaddr_in sa;
	int a, b;

	conf_put(fd, "abc", 3);
	dup2(conf_step_fd, 3);
	conf_step_fd = 3;
	dup2(fileno(conf_out), 4);
	conf_out = fdopen(4, "w");
	closefrom(5);
	conf_step();
	conf_res("send", send(fd, "x", 1, 0));
	a = conf_listen(&sa);
	close(a);
	conf_pair(&a, &b);
	conf_trip(a, b);
	conf_step();
}

static void client(int fd)
{
	char buf[8];

	conf_step();
	conf_res("recv", recv(fd, buf, 3, MSG_WAITALL));
	conf_res("recv", recv(fd, buf, 3, 0));
	conf_step();
}

int main(void)
{
	return conf_two(server, client);
}
