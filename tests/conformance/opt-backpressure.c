/* SPDX-License-Identifier: MIT */
/* Small buffers hold back a writer whose peer does not read. */
#include "conf.h"

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), small = 8192, c, s, a, b;
	char buf[64] = "";

	conf_pair(&a, &b);
	setsockopt(lfd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	c = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(c, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	conf_res("connect", connect(c, (void *)&sa, sizeof(sa)));
	s = accept(lfd, NULL, NULL);
	conf_trips(c, s, 300);
	conf_ms(30);
	conf_put(c, buf, 64);
	conf_get(s, buf, 64);
	conf_say("less than 64 KiB: %s", conf_stuff(c, 0) < 65536 ? "yes" : "no");
	conf_poll(c, POLLOUT, 0);
	return 0;
}
