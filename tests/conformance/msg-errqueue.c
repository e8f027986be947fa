/* SPDX-License-Identifier: MIT */
/* The error queue of a connection: empty, and with MSG_ZEROCOPY's answers. */
#include "conf.h"

#include <linux/errqueue.h>

int main(void)
{
	char buf[64], ctl[128], big[20000] = "";
	struct iovec vec = { buf, sizeof(buf) };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1, .msg_control = ctl,
			      .msg_controllen = sizeof(ctl) };
	int a, b, one = 1;
	struct cmsghdr *cm;

	conf_pair(&a, &b);
	conf_res("recv", recv(a, buf, 8, MSG_ERRQUEUE));
	conf_res("recvmsg", recvmsg(a, &msg, MSG_ERRQUEUE));
	conf_trip(a, b);
	conf_res("SO_ZEROCOPY", setsockopt(a, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof(one)));
	conf_res("send", send(a, big, sizeof(big), MSG_ZEROCOPY));
	conf_res("recv", recv(b, big, sizeof(big), MSG_WAITALL));
	conf_poll(a, 0, 2000);
	msg.msg_controllen = sizeof(ctl);
	conf_res("recvmsg", recvmsg(a, &msg, MSG_ERRQUEUE));
	conf_say("flags: %s", msg.msg_flags & MSG_ERRQUEUE ? "ERRQUEUE" : "none");
	cm = CMSG_FIRSTHDR(&msg);
	if (cm) {
		struct sock_extended_err ee;

		memcpy(&ee, CMSG_DATA(cm), sizeof(ee));
		conf_say("origin %d from %u to %u", ee.ee_origin, ee.ee_info, ee.ee_data);
	}
	conf_trip(a, b);
	return 0;
}
