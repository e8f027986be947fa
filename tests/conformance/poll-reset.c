/* SPDX-License-Identifier: MIT */
/* What poll and select say of a connection that was reset. */
#include "conf.h"

static void server(int fd)
{
	conf_step();
	conf_reset(fd);
	conf_step();
}

static void client(int fd)
{
	struct timeval tv = { 0, 0 };
	fd_set rd, wr, ex;
	int err = -1;
	socklen_t len = sizeof(err);

	conf_step();
	conf_step();
	conf_poll(fd, 0, 2000);
	conf_poll(fd, POLLIN, 2000);
	conf_poll(fd, CONF_ALL, 2000);
	FD_ZERO(&rd);
	FD_SET(fd, &rd);
	wr = ex = rd;
	conf_res("select", select(fd + 1, &rd, &wr, &ex, &tv));
	conf_say("%d %d %d", !!FD_ISSET(fd, &rd), !!FD_ISSET(fd, &wr), !!FD_ISSET(fd, &ex));
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	conf_say("%s", strerrorname_np(err));
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	conf_say("%d", err);
	conf_poll(fd, CONF_ALL, 2000);
	conf_res("recv", recv(fd, &err, 1, 0));
	conf_res("send", send(fd, "x", 1, MSG_NOSIGNAL));
}

int main(void)
{
	return conf_two(server, client);
}
