/* SPDX-License-Identifier: MIT */
/* An address with a send on a connection; the source of a recvfrom. */
#include "conf.h"

int main(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(9) }, from;
	socklen_t len = sizeof(from);
	struct iovec vec = { (char *)"two", 3 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1, .msg_name = &sa,
			      .msg_namelen = sizeof(sa) };
	char buf[8] = "";
	int a, b;

	conf_pair(&a, &b);
	conf_res("sendto", sendto(a, "one", 3, 0, (void *)&sa, sizeof(sa)));
	conf_res("sendmsg", sendmsg(a, &msg, 0));
	conf_res("sendto long", sendto(a, "x", 1, 0, (void *)&sa, 5000));
	conf_res("recvfrom", recvfrom(b, buf, 6, MSG_WAITALL, (void *)&from, &len));
	conf_say("%s length %u", buf, (unsigned int)len);
	len = (socklen_t)-1;
	conf_put(a, "x", 1);
	conf_res("recvfrom", recvfrom(b, buf, 1, 0, NULL, &len));
	conf_say("length %d", (int)len);
	conf_res("fast open", send(a, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL));
	conf_trip(a, b);
	return 0;
}
