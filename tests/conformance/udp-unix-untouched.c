/* SPDX-License-Identifier: MIT */
/* UDP and UNIX sockets beside a connection. */
#include "conf.h"

int main(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, from;
	socklen_t len = sizeof(sa);
	int a, b, u = socket(AF_INET, SOCK_DGRAM, 0), v = socket(AF_INET, SOCK_DGRAM, 0);
	int sv[2];
	char buf[8] = "";

	conf_pair(&a, &b);
	if (bind(u, (void *)&sa, sizeof(sa)) < 0 || getsockname(u, (void *)&sa, &len) < 0)
		conf_die("bind");
	conf_res("sendto", sendto(v, "datagram", 8, 0, (void *)&sa, sizeof(sa)));
	conf_res("recvfrom TRUNC", recvfrom(u, buf, 4, MSG_TRUNC, (void *)&from, &len));
	conf_say("%.4s %u", buf, (unsigned int)len);
	conf_res("connect", connect(v, (void *)&sa, sizeof(sa)));
	conf_res("send nothing", send(v, "", 0, 0));
	conf_res("recv nothing", recv(u, buf, 8, 0));
	for (int type = 0; type < 3; type++) {
		int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };

		if (socketpair(AF_UNIX, types[type], 0, sv) < 0)
			conf_die("socketpair");
		conf_res("send", send(sv[0], "unix", 4, 0));
		conf_res("send", send(sv[0], "next", 4, 0));
		conf_res("recv", recv(sv[1], buf, 8, 0));
		conf_say("%.4s", buf);
		close(sv[0]);
		close(sv[1]);
	}
	conf_trip(a, b);
	return 0;
}
