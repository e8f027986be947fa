/* SPDX-License-Identifier: MIT */
/* What recvmsg leaves in the header: name, control, flags. */
#include "conf.h"

static void say(const struct msghdr *m)
{
	conf_say("  name %u control %zu flags %x pieces %zu",
		 (unsigned int)m->msg_namelen, m->msg_controllen, m->msg_flags,
		 m->msg_iovlen);
}

int main(void)
{
	char buf[8], ctl[64];
	struct sockaddr_in sa;
	struct iovec vec = { buf, 2 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };
	struct mmsghdr mm = { .msg_len = 55 };
	int a, b;

	conf_pair(&a, &b);
	conf_put(a, "abcdefghij", 10);
	conf_poll(b, POLLIN, 2000);
	msg.msg_namelen = 33; /* without a name it is nobody's */
	msg.msg_flags = 0x55;
	conf_res("no name", recvmsg(b, &msg, 0));
	say(&msg);
	msg.msg_name = &sa;
	msg.msg_namelen = sizeof(sa);
	msg.msg_control = ctl;
	msg.msg_controllen = sizeof(ctl);
	conf_res("name", recvmsg(b, &msg, MSG_CMSG_CLOEXEC));
	say(&msg);
	mm.msg_hdr = msg;
	mm.msg_hdr.msg_namelen = sizeof(sa);
	mm.msg_hdr.msg_controllen = sizeof(ctl);
	conf_res("recvmmsg", recvmmsg(b, &mm, 1, 0, NULL));
	say(&mm.msg_hdr);
	conf_say("  length %u", mm.msg_len);
	conf_res("PEEK", recvmsg(b, &msg, MSG_PEEK));
	say(&msg);
	msg.msg_iovlen = 0;
	conf_res("no pieces", recvmsg(b, &msg, MSG_DONTWAIT));
	say(&msg);
	conf_res("no pieces", sendmsg(a, &msg, 0));
	return 0;
}
