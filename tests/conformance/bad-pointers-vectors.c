/* SPDX-License-Identifier: MIT */
/* Vectors, messages and message vectors that are not there. */
#include "conf.h"

int main(void)
{
	struct msghdr msg = { .msg_iov = conf_nowhere(), .msg_iovlen = 2 };
	int a, b;

	conf_pair(&a, &b);
	conf_put(a, "abc", 3);
	conf_poll(b, POLLIN, 2000);
	conf_res("readv", readv(b, conf_nowhere(), 2));
	conf_res("writev", writev(a, conf_nowhere(), 2));
	conf_res("preadv2", preadv2(b, conf_nowhere(), 2, -1, 0));
	conf_res("pwritev2", pwritev2(a, conf_nowhere(), 2, -1, 0));
	conf_res("recvmsg", recvmsg(b, conf_nowhere(), 0));
	conf_res("sendmsg", sendmsg(a, conf_nowhere(), 0));
	conf_res("recvmsg vec", recvmsg(b, &msg, 0));
	conf_res("sendmsg vec", sendmsg(a, &msg, 0));
	conf_res("recvmmsg", recvmmsg(b, conf_nowhere(), 2, 0, NULL));
	conf_res("sendmmsg", sendmmsg(a, conf_nowhere(), 2, 0));
	conf_get(b, &msg, 3);
	conf_trip(a, b);
	return 0;
}
