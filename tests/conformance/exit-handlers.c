/* SPDX-License-Identifier: MIT */
/* What an atexit handler and a destructor still send arrives. */
#include "conf.h"

static int conn = -1;

static void at_exit(void)
{
	if (conn >= 0)
		conf_put(conn, "atexit ", 7);
}

__attribute__((destructor)) static void last(void)
{
	if (conn >= 0)
		conf_put(conn, "destructor", 10);
}

static void server(int fd)
{
	atexit(at_exit);
	conn = fd;
	conf_put(fd, "main ", 5);
}

static void client(int fd)
{
	char buf[64] = "";

	conf_res("recv", recv(fd, buf, 63, MSG_WAITALL));
	conf_say("%s", buf);
	conf_res("recv", recv(fd, buf, 63, 0));
}

int main(void)
{
	return conf_two(server, client);
}
