/* SPDX-License-Identifier: MIT */
/* As many pieces as there may be, and one more. */
#include <limits.h>

#include "conf.h"

int main(void)
{
	static uint8_t out[IOV_MAX * 3], in[IOV_MAX * 3];
	static struct iovec wr[IOV_MAX + 1], rd[IOV_MAX + 1];
	struct msghdr msg = { .msg_iov = wr, .msg_iovlen = IOV_MAX };
	int a, b;

	conf_pair(&a, &b);
	conf_fill(out, sizeof(out), 0);
	for (size_t i = 0; i <= IOV_MAX; i++) {
		wr[i] = (struct iovec){ out + i * 3 % sizeof(out), 3 };
		rd[i] = (struct iovec){ in + i * 3 % sizeof(in), 3 };
	}
	conf_res("writev", writev(a, wr, IOV_MAX));
	conf_res("recv", recv(b, in, sizeof(in), MSG_WAITALL));
	conf_say("same %d", conf_same(in, sizeof(in), 0));
	conf_res("sendmsg", sendmsg(a, &msg, 0));
	memset(in, 0, sizeof(in));
	conf_poll(b, POLLIN, 2000);
	msg.msg_iov = rd;
	conf_res("recvmsg", recvmsg(b, &msg, MSG_WAITALL));
	conf_say("same %d", conf_same(in, sizeof(in), 0));
	msg.msg_iovlen = IOV_MAX + 1;
	conf_res("recvmsg", recvmsg(b, &msg, MSG_DONTWAIT));
	conf_res("sendmsg", sendmsg(a, &msg, 0));
	conf_res("writev", writev(a, wr, IOV_MAX + 1));
	conf_res("readv", readv(b, rd, IOV_MAX + 1));
	conf_trip(a, b);
	return 0;
}
