/* SPDX-License-Identifier: MIT */
/* One connection by several numbers. */
#include "conf.h"

static void server(int fd)
{
	char buf[16];

	conf_res("recv", recv(fd, buf, 6, MSG_WAITALL));
	conf_say("%.6s", buf);
	conf_put(fd, "reply", 5);
	conf_res("recv", recv(fd, buf, sizeof(buf), 0));
}

static void client(int fd)
{
	int d1 = dup(fd), d2 = fcntl(fd, F_DUPFD_CLOEXEC, 200);
	char buf[16];

	conf_say("numbers: %s", d1 >= 0 && d2 >= 200 ? "yes" : "no");
	conf_say("CLOEXEC: %d", !!(fcntl(d2, F_GETFD) & FD_CLOEXEC));
	conf_put(d1, "abc", 3);
	conf_res("close", close(fd));
	conf_put(d2, "def", 3);
	conf_res("recv", recv(d1, buf, 5, MSG_WAITALL));
	conf_res("recv", recv(fd, buf, 5, 0));
	conf_res("close", close(d1));
	conf_poll(d2, CONF_ALL, 0);
	conf_res("close", close(d2));
}

int main(void)
{
	return conf_two(server, client);
}
