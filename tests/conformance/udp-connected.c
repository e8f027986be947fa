/* SPDX-License-Identifier: MIT */
/* A UDP socket that is connected to an address where a peer could be. */
#include "conf.h"

static void receive(int fd, int flags)
{
	struct sockaddr_storage from = { .ss_family = 77 };
	socklen_t len = sizeof(from);
	char buf[8] = "";

	conf_res("recvfrom", recvfrom(fd, buf, 4, flags, (struct sockaddr *)&from, &len));
	conf_say("%.4s family %d length %u", buf, from.ss_family, (unsigned int)len);
}

static void receive_msg(int fd)
{
	struct sockaddr_storage from = { .ss_family = 77 };
	char buf[8] = "";
	struct iovec vec = { buf, 4 };
	struct msghdr msg = { .msg_name = &from, .msg_namelen = sizeof(from),
			      .msg_iov = &vec, .msg_iovlen = 1 };

	conf_res("recvmsg", recvmsg(fd, &msg, 0));
	conf_say("%.4s family %d length %u flags %#x", buf, from.ss_family,
		 (unsigned int)msg.msg_namelen, (unsigned int)msg.msg_flags);
}

/* A number that was a TCP socket's. */
static int used_number(void)
{
	int t = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_INET, SOCK_DGRAM, 0);

	if (dup2(u, t) != t)
		conf_die("dup2");
	close(u);
	return t;
}

static void use(int u)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);

	if (bind(u, (void *)&sa, sizeof(sa)) < 0 || getsockname(u, (void *)&sa, &len) < 0)
		conf_die("bind");
	conf_res("connect", connect(u, (void *)&sa, sizeof(sa)));
	/* More than make a TCP connection worth a ring. */
	for (int i = 0; i < 100; i++) {
		char buf[8];

		if (send(u, "datagram", 8, 0) != 8 || recv(u, buf, 8, 0) != 8)
			conf_die("trip");
	}
	for (int i = 0; i < 4; i++)
		conf_res("send", send(u, "datagram", 8, 0));
	receive(u, 0);
	receive(u, MSG_TRUNC);
	receive_msg(u);
	conf_res("shutdown", shutdown(u, SHUT_WR));
	conf_res("send", send(u, "", 0, MSG_NOSIGNAL));
}

int main(void)
{
	int a, b;

	conf_pair(&a, &b);
	use(socket(AF_INET, SOCK_DGRAM, 0));
	use(used_number());
	conf_trip(a, b);
	return 0;
}
