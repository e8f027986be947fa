/* SPDX-License-Identifier: MIT */
/* getpeername and getsockname at every stage of a connection's life. */
#include "conf.h"

static void say(const char *what, int fd)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);

	conf_say("%s", what);
	conf_res("  peer", getpeername(fd, (void *)&sa, &len));
	len = sizeof(sa);
	conf_res("  self", getsockname(fd, (void *)&sa, &len));
	conf_say("  %x %u", ntohl(sa.sin_addr.s_addr), (unsigned int)len);
	len = 4;
	conf_res("  short", getsockname(fd, (void *)&sa, &len));
	conf_say("  %u", (unsigned int)len);
}

int main(void)
{
	int a, b;
	char c;

	say("fresh", socket(AF_INET, SOCK_STREAM, 0));
	conf_pair(&a, &b);
	say("connected", a);
	shutdown(b, SHUT_WR);
	conf_res("recv", recv(a, &c, 1, 0));
	say("peer half closed", a);
	close(b);
	conf_ms(20);
	say("peer closed", a);
	shutdown(a, SHUT_WR);
	conf_ms(20);
	say("closed", a);
	conf_pair(&a, &b);
	conf_reset(b);
	conf_poll(a, 0, 2000);
	say("reset", a);
	return 0;
}
