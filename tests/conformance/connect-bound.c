/* SPDX-License-Identifier: MIT */
/* A client with a port of its own choice, and the names of both ends. */
#include "conf.h"

static bool same(const struct sockaddr_in *x, const struct sockaddr_in *y)
{
	return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr &&
	       x->sin_family == y->sin_family;
}

int main(void)
{
	struct sockaddr_in sa, mine = { .sin_family = AF_INET }, self, peer;
	socklen_t len = sizeof(mine);
	int lfd = conf_listen(&sa), fd = socket(AF_INET, SOCK_STREAM, 0), s, a, b;

	conf_pair(&a, &b);
	inet_pton(AF_INET, "127.0.0.1", &mine.sin_addr);
	if (bind(fd, (void *)&mine, sizeof(mine)) < 0 ||
	    getsockname(fd, (void *)&mine, &len) < 0)
		conf_die("bind");
	conf_res("getpeername", getpeername(fd, (void *)&peer, &len));
	conf_res("connect", connect(fd, (void *)&sa, sizeof(sa)));
	s = accept(lfd, (void *)&peer, &len);
	conf_say("accept's: %d", same(&peer, &mine));
	conf_trips(fd, s, 100);
	getsockname(fd, (void *)&self, &len);
	getpeername(fd, (void *)&peer, &len);
	conf_say("client: %d %d", same(&self, &mine), same(&peer, &sa));
	getsockname(s, (void *)&self, &len);
	getpeername(s, (void *)&peer, &len);
	conf_say("server: %d %d", same(&self, &sa), same(&peer, &mine));
	conf_trip(fd, s);
	return 0;
}
