/* SPDX-License-Identifier: MIT */
/* Addresses, lengths and options that are not there. */
#include "conf.h"

int main(void)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	int lfd = conf_listen(&sa), a, b, s = socket(AF_INET, SOCK_STREAM, 0);
	struct iovec vec = { &len, 1 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1,
			      .msg_name = conf_nowhere(), .msg_namelen = 16 };
	int c, val;
	char buf[4];

	conf_pair(&a, &b);
	conf_res("connect", connect(s, conf_nowhere(), sizeof(sa)));
	conf_res("connect 0", connect(s, (void *)&sa, 0));
	conf_res("connect short", connect(s, (void *)&sa, 8));
	conf_res("bind", bind(s, conf_nowhere(), sizeof(sa)));
	c = conf_connect(&sa);
	conf_poll(lfd, POLLIN, 2000);
	conf_res("accept", accept(lfd, conf_nowhere(), &len));
	conf_res("recv", recv(c, buf, 4, 0));
	close(c);
	c = conf_connect(&sa);
	conf_poll(lfd, POLLIN, 2000);
	conf_res("accept", accept(lfd, (void *)&sa, conf_nowhere()));
	conf_res("getpeername", getpeername(a, conf_nowhere(), &len));
	conf_res("getsockname", getsockname(a, (void *)&sa, conf_nowhere()));
	len = sizeof(val);
	conf_res("getsockopt", getsockopt(a, SOL_SOCKET, SO_TYPE, conf_nowhere(), &len));
	conf_res("getsockopt", getsockopt(a, SOL_SOCKET, SO_TYPE, &val, conf_nowhere()));
	conf_res("setsockopt",
		 setsockopt(a, SOL_SOCKET, SO_KEEPALIVE, conf_nowhere(), 4));
	conf_res("ioctl", ioctl(a, FIONREAD, conf_nowhere()));
	conf_res("ioctl", ioctl(a, FIONBIO, conf_nowhere()));
	conf_res("sendto", sendto(a, "x", 1, 0, conf_nowhere(), 16));
	conf_res("sendmsg", sendmsg(a, &msg, 0));
	conf_trip(b, a);
	return 0;
}
