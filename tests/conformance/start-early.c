/* SPDX-License-Identifier: MIT */
/* Connections made before any constructor of a library has run. */
#include "conf.h"

static int early[2] = { -1, -1 }, ctor[2] = { -1, -1 };

static void make(int *fd)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa);

	fd[0] = conf_connect(&sa);
	fd[1] = accept(lfd, NULL, NULL);
	close(lfd);
}

static void before_all(void)
{
	make(early);
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) =
	before_all;

__attribute__((constructor(101))) static void construct(void)
{
	make(ctor);
}

static void use(int *fd)
{
	char buf[64] = "";

	for (int i = 0; i < 200; i++) {
		conf_put(fd[0], buf, 64);
		conf_get(fd[1], buf, 64);
		conf_put(fd[1], buf, 64);
		conf_get(fd[0], buf, 64);
	}
	conf_trip(fd[0], fd[1]);
	conf_poll(fd[1], CONF_ALL, 0);
	close(fd[0]);
	conf_res("recv", recv(fd[1], buf, 1, 0));
}

int main(void)
{
	int a, b;

	conf_pair(&a, &b);
	use(early);
	use(ctor);
	conf_trip(a, b);
	return 0;
}
