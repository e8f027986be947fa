/* SPDX-License-Identifier: MIT */
/* Nobody listens: blocking, not blocking, and then somebody does. */
#include "conf.h"

int main(void)
{
	struct sockaddr_in sa, good;
	int gone = conf_listen(&sa), lfd = conf_listen(&good), a, b, c, s, err = -1;
	socklen_t len = sizeof(err);
	char buf[4];

	conf_pair(&a, &b);
	close(gone);
	c = socket(AF_INET, SOCK_STREAM, 0);
	conf_res("connect", connect(c, (void *)&sa, sizeof(sa)));
	conf_res("connect", connect(c, (void *)&good, sizeof(good)));
	s = accept(lfd, NULL, NULL);
	conf_trip(c, s);
	close(c);
	c = socket(AF_INET, SOCK_STREAM, 0);
	conf_res("connect", connect(c, (void *)&sa, sizeof(sa)));
	conf_res("send", send(c, "x", 1, MSG_NOSIGNAL));
	conf_res("recv", recv(c, buf, 1, 0));
	conf_poll(c, CONF_ALL, 0);
	close(c);
	c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	conf_res("connect", connect(c, (void *)&sa, sizeof(sa)));
	conf_poll(c, CONF_ALL, 2000);
	conf_res("SO_ERROR", getsockopt(c, SOL_SOCKET, SO_ERROR, &err, &len));
	conf_say("%s", strerrorname_np(err));
	getsockopt(c, SOL_SOCKET, SO_ERROR, &err, &len);
	conf_say("%d", err);
	conf_poll(c, CONF_ALL, 0);
	conf_res("connect", connect(c, (void *)&good, sizeof(good)));
	conf_res("connect", connect(c, (void *)&good, sizeof(good)));
	conf_poll(c, POLLOUT, 2000);
	conf_nonblock(c, false);
	s = accept(lfd, NULL, NULL);
	conf_trip(c, s);
	return 0;
}
