/* SPDX-License-Identifier: MIT */
/* A connection dissolved by connect to AF_UNSPEC, and the socket used again. */
#include "conf.h"

int main(void)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), a, b, s;
	char c;

	signal(SIGPIPE, SIG_IGN);
	conf_pair(&a, &b);
	conf_res("dissolve", connect(a, &none, sizeof(none)));
	conf_res("recv", recv(b, &c, 1, 0));
	conf_res("recv", recv(a, &c, 1, 0));
	conf_res("send", send(a, "x", 1, 0));
	conf_res("connect", connect(a, (void *)&sa, sizeof(sa)));
	s = accept(lfd, NULL, NULL);
	conf_trips(a, s, 100);
	conf_trip(a, s);
	return 0;
}
