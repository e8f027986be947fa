/* SPDX-License-Identifier: MIT */
/* A program runs itself anew with a connection, and bytes unread in it. */
#include "conf.h"

static void again(int fd)
{
	char buf[16] = "";

	conf_res("recv", recv(fd, buf, 6, MSG_WAITALL));
	conf_say("%s", buf);
	for (int i = 0; i < 50; i++) {
		conf_put(fd, "ping", 4);
		conf_get(fd, buf, 4);
	}
	conf_put(fd, "done", 4);
	exit(0);
}

static void server(int fd)
{
	char num[16], *argv[] = { (char *)"self", num, NULL };

	conf_step();
	conf_poll(fd, POLLIN, 2000);
	snprintf(num, sizeof(num), "%d", fd);
	dup2(fileno(conf_out), 1);
	execv("/proc/self/exe", argv);
	conf_say("no exec");
}

static void client(int fd)
{
	char buf[16];

	conf_put(fd, "unread", 6);
	conf_step();
	for (;;) {
		conf_get(fd, buf, 4);
		if (memcmp(buf, "ping", 4) != 0)
			break;
		conf_put(fd, "pong", 4);
	}
	conf_say("%.4s", buf);
	conf_res("recv", recv(fd, buf, 1, 0));
}

int main(int argc, char **argv)
{
	alarm(30);
	if (argc > 1)
		again(atoi(argv[1]));
	return conf_two(server, client);
}
