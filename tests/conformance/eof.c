/* SPDX-License-Identifier: MIT */
/* The peer closes: end of stream, again and again; what a writer gets. */
#include "conf.h"

static volatile sig_atomic_t pipes;

static void on_pipe(int sig)
{
	(void)sig;
	pipes = pipes + 1;
}

static void server(int fd)
{
	conf_put(fd, "bye", 3);
	close(fd);
	conf_step();
}

static void client(int fd)
{
	char buf[16];

	signal(SIGPIPE, on_pipe);
	conf_step();
	conf_res("recv", recv(fd, buf, 2, 0));
	conf_res("recv", recv(fd, buf, sizeof(buf), 0));
	conf_res("recv", recv(fd, buf, sizeof(buf), 0));
	conf_res("recv", recv(fd, buf, sizeof(buf), MSG_DONTWAIT));
	conf_poll(fd, CONF_ALL, 0);
	conf_res("send", send(fd, "x", 1, 0));
	/* The reset comes. */
	poll(&(struct pollfd){ .fd = fd }, 1, 5000);
	conf_poll(fd, CONF_ALL, 0);
	conf_res("send", send(fd, "x", 1, 0));
	conf_say("SIGPIPE: %d", (int)pipes);
	conf_res("send", send(fd, "x", 1, MSG_NOSIGNAL));
	conf_say("SIGPIPE: %d", (int)pipes);
}

int main(void)
{
	return conf_two(server, client);
}
