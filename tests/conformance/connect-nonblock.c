/* SPDX-License-Identifier: MIT */
/* A connection made without waiting, then used. */
#include "conf.h"

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int a, b, s, err = -1;
	socklen_t len = sizeof(err);
	char buf[64] = "";

	conf_pair(&a, &b);
	conf_res("connect", connect(c, (void *)&sa, sizeof(sa)));
	conf_poll(c, POLLOUT, 2000);
	conf_res("SO_ERROR", getsockopt(c, SOL_SOCKET, SO_ERROR, &err, &len));
	conf_say("%d", err);
	conf_res("again", connect(c, (void *)&sa, sizeof(sa)));
	conf_res("again", connect(c, (void *)&sa, sizeof(sa)));
	conf_res("recv", recv(c, buf, 1, 0));
	s = accept(lfd, NULL, NULL);
	for (int i = 0; i < 200; i++) {
		conf_put(c, buf, 64);
		conf_get(s, buf, 64);
		conf_put(s, buf, 64);
		if (poll(&(struct pollfd){ .fd = c, .events = POLLIN }, 1, 2000) != 1)
			conf_die("poll");
		conf_get(c, buf, 64);
	}
	conf_res("recv", recv(c, buf, 1, 0));
	return 0;
}
