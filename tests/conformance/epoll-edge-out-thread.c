/* SPDX-License-Identifier: MIT */
/* One thread sleeps for an EPOLLOUT edge while another fills the socket. */
#include "conf.h"

static int ep;

static void server(int fd)
{
	conf_step();
	conf_read_out(fd);
}

static void *sleeper(void *arg)
{
	(void)arg;
	conf_epoll(ep, 10000);
	return NULL;
}

static void client(int fd)
{
	pthread_t t;

	ep = epoll_create1(0);
	conf_watch(ep, EPOLL_CTL_ADD, fd, EPOLLOUT | EPOLLET, 1);
	conf_epoll(ep, 1000);
	pthread_create(&t, NULL, sleeper, NULL);
	conf_ms(50);
	conf_stuff(fd, 0);
	conf_step();
	pthread_join(t, NULL);
	close(fd);
}

int main(void)
{
	return conf_two(server, client);
}
