/* SPDX-License-Identifier: MIT */
/* readv, writev, sendmsg, recvmsg, and their mistakes. */
#include "conf.h"

int main(void)
{
	char x[8] = "", y[8] = "", z[8] = "", ctl[64];
	struct iovec out[3] = { { "abc", 3 }, { "", 0 }, { "defgh", 5 } };
	struct iovec in[3] = { { x, 2 }, { y, 0 }, { z, 8 } };
	struct msghdr msg = { .msg_iov = in, .msg_iovlen = 3, .msg_control = ctl,
			      .msg_controllen = sizeof(ctl), .msg_flags = 77 };
	struct sockaddr_in sa;
	struct mmsghdr mm[2];
	volatile int minus = -1, many = 2000;
	int a, b;

	conf_pair(&a, &b);
	conf_res("writev", writev(a, out, 3));
	conf_poll(b, POLLIN, 1000);
	conf_res("readv", readv(b, in, 3));
	conf_say("%.2s %.8s", x, z);
	msg.msg_iov = out;
	msg.msg_controllen = 0;
	conf_res("sendmsg", sendmsg(a, &msg, 0));
	conf_poll(b, POLLIN, 1000);
	msg.msg_iov = in;
	msg.msg_controllen = sizeof(ctl);
	msg.msg_name = &sa;
	msg.msg_namelen = sizeof(sa);
	conf_res("recvmsg", recvmsg(b, &msg, 0));
	conf_say("%.2s %.8s flags %d control %zu name %u", x, z, msg.msg_flags,
		 msg.msg_controllen, (unsigned int)msg.msg_namelen);
	conf_res("readv -1", readv(b, in, minus));
	conf_res("readv 0", readv(b, in, 0));
	conf_res("writev 2000", writev(a, out, many));
	conf_res("writev 0", writev(a, out, 0));
	msg.msg_iovlen = 2000;
	conf_res("sendmsg 2000", sendmsg(a, &msg, 0));
	memset(mm, 0, sizeof(mm));
	mm[0].msg_hdr.msg_iov = &out[0];
	mm[0].msg_hdr.msg_iovlen = 1;
	mm[1].msg_hdr.msg_iov = &out[2];
	mm[1].msg_hdr.msg_iovlen = 1;
	conf_res("sendmmsg", sendmmsg(a, mm, 2, 0));
	conf_say("%u %u", mm[0].msg_len, mm[1].msg_len);
	conf_ms(30);
	mm[0].msg_hdr.msg_iov = &in[0];
	mm[1].msg_hdr.msg_iov = &in[2];
	conf_res("recvmmsg", recvmmsg(b, mm, 2, MSG_WAITFORONE, NULL));
	conf_say("%u %u", mm[0].msg_len, mm[1].msg_len);
	return 0;
}
