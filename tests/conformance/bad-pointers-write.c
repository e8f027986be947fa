/* SPDX-License-Identifier: MIT */
/* Writing from where nothing is mapped: EFAULT, and nothing is sent. */
#include "conf.h"

int main(void)
{
	struct iovec bad = { conf_nowhere(), 8 };
	struct msghdr msg = { .msg_iov = &bad, .msg_iovlen = 1 };
	char buf[16];
	int a, b;

	conf_pair(&a, &b);
	conf_res("write", write(a, conf_nowhere(), 8));
	conf_res("send", send(a, conf_nowhere(), 8, 0));
	conf_res("sendto", sendto(a, conf_nowhere(), 8, 0, NULL, 0));
	conf_res("writev", writev(a, &bad, 1));
	conf_res("sendmsg", sendmsg(a, &msg, 0));
	conf_res("send 0", send(a, conf_nowhere(), 0, 0));
	conf_res("recv", recv(b, buf, 8, MSG_DONTWAIT));
	conf_trip(a, b);
	return 0;
}
