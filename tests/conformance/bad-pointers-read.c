/* SPDX-License-Identifier: MIT */
/* Reading to where nothing is mapped: EFAULT, and the bytes stay. */
#include "conf.h"

int main(void)
{
	char buf[16] = "";
	struct iovec bad = { conf_nowhere(), 8 };
	struct msghdr msg = { .msg_iov = &bad, .msg_iovlen = 1 };
	int a, b;

	conf_pair(&a, &b);
	conf_nonblock(b, true);
	conf_res("empty", read(b, conf_nowhere(), 8));
	conf_put(a, "abcdefgh", 8);
	conf_poll(b, POLLIN, 2000);
	conf_res("read", read(b, conf_nowhere(), 8));
	conf_res("recv", recv(b, conf_nowhere(), 8, 0));
	conf_res("peek", recv(b, conf_nowhere(), 8, MSG_PEEK));
	conf_res("recvfrom", recvfrom(b, conf_nowhere(), 8, 0, NULL, NULL));
	conf_res("readv", readv(b, &bad, 1));
	conf_res("recvmsg", recvmsg(b, &msg, 0));
	conf_res("read 0", read(b, conf_nowhere(), 0));
	conf_res("read", read(b, buf, 8));
	conf_say("%.8s", buf);
	conf_trip(a, b);
	return 0;
}
