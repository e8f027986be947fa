/* SPDX-License-Identifier: MIT */
/* A thread sleeps in send while another closes the number: all of it goes. */
#include "conf.h"

#define SIZE 12000000u

static uint8_t big[SIZE];
static int conn;

static long in_send(void)
{
	return send(conn, big, SIZE, 0);
}

static void server(int fd)
{
	conf_step();
	conf_drain(fd);
}

static void client(int fd)
{
	struct conf_sleeper s;

	conn = fd;
	conf_fill(big, SIZE, 0);
	conf_start(&s, in_send);
	conf_res("close", close(fd));
	conf_step();
	conf_join(&s, "send");
}

int main(void)
{
	return conf_two(server, client);
}
