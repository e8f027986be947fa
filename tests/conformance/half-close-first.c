/* SPDX-License-Identifier: MIT */
/* Ends its direction before anything was sent, and then receives a lot. */
#include "conf.h"

#define SIZE 8000000u

static uint8_t big[SIZE];

/* A second connection: the harness has warmed up the first. */
static void quiet_client(int fd)
{
	size_t got = 0;
	ssize_t r;

	conf_res("shutdown", shutdown(fd, SHUT_WR));
	conf_res("send", send(fd, "x", 1, MSG_NOSIGNAL));
	while ((r = recv(fd, big, sizeof(big), 0)) > 0) {
		if (!conf_same(big, (size_t)r, got))
			break;
		got += (size_t)r;
	}
	conf_res("the last recv", r);
	conf_res("bytes", (long)got);
	conf_poll(fd, CONF_ALL, 0);
	conf_res("close", close(fd));
}

static void loud_server(int fd)
{
	char c;

	conf_res("recv", recv(fd, &c, 1, 0));
	conf_poll(fd, CONF_ALL, 0);
	/* In pieces, so that there is time for a ring. */
	for (size_t pos = 0; pos < SIZE; pos += 100000) {
		conf_fill(big, 100000, pos);
		conf_put(fd, big, 100000);
		if (pos % 1000000 == 0)
			conf_ms(2);
	}
	conf_res("recv", recv(fd, &c, 1, 0));
	conf_res("close", close(fd));
}

static void server(int fd)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), quiet;

	conf_put(fd, &sa, sizeof(sa));
	quiet = accept(lfd, NULL, NULL);
	loud_server(quiet);
	quiet = accept(lfd, NULL, NULL);
	conf_step();
	quiet_client(quiet);
	close(lfd);
}

static void client(int fd)
{
	struct sockaddr_in sa;

	conf_get(fd, &sa, sizeof(sa));
	quiet_client(conf_connect(&sa));
	/* And the other way round. */
	fd = conf_connect(&sa);
	conf_step();
	loud_server(fd);
}

int main(void)
{
	return conf_two(server, client);
}
