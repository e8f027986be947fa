/* SPDX-License-Identifier: MIT */
/* accept where there is nothing to accept. */
#include "conf.h"

int main(void)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa), minus = (socklen_t)-1;
	int lfd = conf_listen(&sa), a, b, p[2], fresh, udp, c;

	conf_pair(&a, &b);
	if (pipe(p) < 0)
		conf_die("pipe");
	fresh = socket(AF_INET, SOCK_STREAM, 0);
	udp = socket(AF_INET, SOCK_DGRAM, 0);
	conf_res("connected", accept(a, NULL, NULL));
	conf_res("fresh", accept(fresh, NULL, NULL));
	conf_res("udp", accept(udp, NULL, NULL));
	conf_res("pipe", accept(p[0], NULL, NULL));
	conf_res("closed", accept(900, NULL, NULL));
	conf_res("minus", accept(-1, NULL, NULL));
	conf_nonblock(lfd, true);
	conf_res("empty", accept(lfd, NULL, NULL));
	conf_res("empty accept4", accept4(lfd, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC));
	conf_res("bad flags", accept4(lfd, NULL, NULL, 12345));
	len = sizeof(sa);
	getsockname(lfd, (struct sockaddr *)&sa, &len);
	c = conf_connect(&sa);
	conf_poll(lfd, POLLIN, 2000);
	conf_res("negative length", accept(lfd, (struct sockaddr *)&sa, &minus));
	conf_poll(lfd, POLLIN, 0);
	conf_res("recv", recv(c, &len, sizeof(len), 0));
	conf_trip(a, b);
	return 0;
}
