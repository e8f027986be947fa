/* SPDX-License-Identifier: MIT */
/* A socket that connects to itself. */
#include "conf.h"

int main(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0), a, b, one = 1;
	char buf[64] = "";

	conf_pair(&a, &b);
	if (bind(fd, (void *)&sa, sizeof(sa)) < 0 || getsockname(fd, (void *)&sa, &len) < 0)
		conf_die("bind");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	conf_res("connect", connect(fd, (void *)&sa, sizeof(sa)));
	for (int i = 0; i < 100; i++) {
		conf_put(fd, "to myself", 9);
		conf_get(fd, buf, 9);
	}
	conf_say("%s", buf);
	conf_ms(20);
	conf_put(fd, "to myself", 9);
	conf_poll(fd, CONF_ALL, 2000);
	conf_get(fd, buf, 9);
	conf_res("shutdown", shutdown(fd, SHUT_WR));
	conf_res("recv", recv(fd, buf, 9, 0));
	conf_poll(fd, CONF_ALL, 0);
	return 0;
}
