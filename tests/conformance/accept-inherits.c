/* SPDX-License-Identifier: MIT */
/* Which options of a listener its connections have. */
#include "conf.h"

static void get(int fd, int level, int name, const char *what)
{
	int val[2] = { -1, -1 };
	socklen_t len = sizeof(val);

	conf_res(what, getsockopt(fd, level, name, val, &len));
	conf_say("  %d (%u)", val[0], (unsigned int)len);
}

int main(void)
{
	static const struct linger linger = { 1, 7 };
	static const struct timeval tv = { 0, 100000 };
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), a, b, c, s, one = 1;
	char buf[64] = "x";

	setsockopt(lfd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(lfd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	setsockopt(lfd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(lfd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	fcntl(lfd, F_SETFL, O_NONBLOCK);
	fcntl(lfd, F_SETFD, FD_CLOEXEC);
	conf_pair(&a, &b);
	c = conf_connect(&sa);
	conf_poll(lfd, POLLIN, 2000);
	s = accept(lfd, NULL, NULL);
	get(s, SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE");
	get(s, SOL_SOCKET, SO_LINGER, "SO_LINGER");
	get(s, SOL_SOCKET, SO_RCVTIMEO, "SO_RCVTIMEO");
	get(s, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY");
	conf_say("O_NONBLOCK %d FD_CLOEXEC %d", !!(fcntl(s, F_GETFL) & O_NONBLOCK),
		 !!(fcntl(s, F_GETFD) & FD_CLOEXEC));
	/* The inherited time-out is in force, before and on a ring. */
	conf_res("recv", recv(s, buf, 1, 0));
	conf_trips(c, s, 300);
	conf_ms(30);
	conf_put(c, buf, 64);
	conf_get(s, buf, 64);
	conf_res("recv", recv(s, buf, 1, 0));
	return 0;
}
