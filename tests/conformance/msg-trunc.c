/* SPDX-License-Identifier: MIT */
/* MSG_TRUNC throws bytes of a stream away, and leaves the buffer alone. */
#include "conf.h"

int main(void)
{
	char buf[16] = "untouched";
	struct iovec vec[2] = { { buf, 2 }, { buf + 4, 3 } };
	struct msghdr msg = { .msg_iov = vec, .msg_iovlen = 2 };
	static const char many[1000];
	int a, b;

	conf_pair(&a, &b);
	conf_put(a, "abcdefghijklmnop", 16);
	conf_poll(b, POLLIN, 2000);
	conf_res("TRUNC|PEEK", recv(b, buf, 4, MSG_TRUNC | MSG_PEEK));
	conf_say("%s", buf);
	conf_res("TRUNC", recv(b, buf, 4, MSG_TRUNC));
	conf_say("%s", buf);
	conf_res("recvmsg", recvmsg(b, &msg, MSG_TRUNC));
	conf_say("%s flags %d", buf, msg.msg_flags);
	conf_res("recv", recv(b, buf, 2, 0));
	conf_say("%.2s", buf);
	conf_res("TRUNC", recv(b, buf, 100, MSG_TRUNC));
	conf_res("TRUNC|DONTWAIT", recv(b, buf, 100, MSG_TRUNC | MSG_DONTWAIT));
	shutdown(a, SHUT_WR);
	conf_res("TRUNC", recv(b, buf, 100, MSG_TRUNC));

	/* Much of them. */
	conf_pair(&a, &b);
	for (int i = 0; i < 40; i++)
		conf_put(a, many, sizeof(many));
	while (recv(b, NULL, 100000, MSG_TRUNC | MSG_PEEK) < 40000)
		conf_ms(1);
	conf_res("TRUNC|PEEK", recv(b, NULL, 100000, MSG_TRUNC | MSG_PEEK));
	conf_res("TRUNC|PEEK", recv(b, NULL, 30000, MSG_TRUNC | MSG_PEEK));
	conf_res("TRUNC", recv(b, NULL, 39000, MSG_TRUNC | MSG_WAITALL));
	conf_res("TRUNC", recv(b, NULL, 100000, MSG_TRUNC));

	/* An error that comes after the bytes is the next call's. */
	conf_pair(&a, &b);
	conf_put(a, "abcdef", 6);
	conf_reset(a);
	conf_poll(b, 0, 2000);
	conf_ms(20);
	conf_res("TRUNC", recv(b, buf, 100, MSG_TRUNC));
	conf_poll(b, 0, 0);
	conf_res("recv", recv(b, buf, 1, 0));
	return 0;
}
