/* SPDX-License-Identifier: MIT */
/* O_NONBLOCK set, or taken away again, before the socket is connected: by each of
 * the ways there are. */
#include "conf.h"

#include <sys/ioctl.h>
#include <sys/syscall.h>

static void by_ioctl(int fd, int on)
{
	if (ioctl(fd, FIONBIO, &on) < 0)
		conf_die("FIONBIO");
}

static void by_number(int fd, int on)
{
	if (syscall(SYS_fcntl, fd, F_SETFL, on ? O_RDWR | O_NONBLOCK : O_RDWR) < 0)
		conf_die("syscall");
}

static void by_dup(int fd, int on)
{
	int other = dup(fd);

	conf_nonblock(other, on);
	close(other);
}

static void by_fcntl(int fd, int on)
{
	conf_nonblock(fd, on);
}

static void nothing(int fd, int on)
{
	(void)fd, (void)on;
}

static const struct {
	const char *name;
	void (*set)(int fd, int on);
} ways[] = {
	{ "socket", nothing }, { "fcntl", by_fcntl },   { "ioctl", by_ioctl },
	{ "dup", by_dup },     { "syscall", by_number },
};

/* Does recv wait where there is nothing? */
static void look(int fd)
{
	struct timeval tv = { .tv_usec = 20000 };
	double start = conf_now();
	char c;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	conf_res("recv", recv(fd, &c, 1, 0));
	conf_say("%s", conf_now() - start > 0.01 ? "waited" : "at once");
}

static void once(unsigned int way, int begin, int on)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa);
	int fd = socket(AF_INET, SOCK_STREAM | (begin ? SOCK_NONBLOCK : 0), 0), peer;
	char buf[64] = "";

	conf_say("%s %d %d", ways[way].name, begin, on);
	ways[way].set(fd, on);
	if (connect(fd, (void *)&sa, sizeof(sa)) < 0 && errno != EINPROGRESS)
		conf_die("connect");
	peer = accept(lfd, NULL, NULL);
	look(fd);
	for (int i = 0; i < 100; i++) {
		conf_put(fd, buf, sizeof(buf));
		conf_get(peer, buf, sizeof(buf));
		conf_put(peer, buf, sizeof(buf));
		conf_poll(fd, POLLIN, 2000);
		conf_get(fd, buf, sizeof(buf));
	}
	look(fd);
	close(fd);
	close(peer);
	close(lfd);
}

int main(void)
{
	int a, b;

	conf_pair(&a, &b);
	for (unsigned int way = 0; way < sizeof(ways) / sizeof(ways[0]); way++)
		for (int begin = 0; begin < 2; begin++)
			for (int on = 0; on < 2; on++)
				once(way, begin, on);
	conf_trip(a, b);
	return 0;
}
