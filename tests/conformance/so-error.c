/* SPDX-License-Identifier: MIT */
/* Socket options answer as they do on TCP. */
#include "conf.h"

static void get(int fd, int level, int name, const char *what)
{
	socklen_t len = sizeof(int);
	int val = -1;

	conf_res(what, getsockopt(fd, level, name, &val, &len));
	conf_say("  %d (%u)", val, (unsigned int)len);
}

int main(void)
{
	int a, b, one = 1;
	socklen_t len = sizeof(struct tcp_info);
	struct tcp_info info;

	conf_pair(&a, &b);
	get(a, SOL_SOCKET, SO_ERROR, "SO_ERROR");
	get(a, SOL_SOCKET, SO_TYPE, "SO_TYPE");
	get(a, SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE");
	conf_res("setsockopt", setsockopt(a, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)));
	get(a, SOL_SOCKET, SO_KEEPALIVE, "SO_KEEPALIVE");
	get(a, IPPROTO_TCP, TCP_NODELAY, "TCP_NODELAY");
	conf_res("TCP_INFO", getsockopt(a, IPPROTO_TCP, TCP_INFO, &info, &len));
	conf_say("state %d", info.tcpi_state);
	conf_res("bad", setsockopt(a, SOL_SOCKET, 9999, &one, sizeof(one)));
	conf_res("connect again", connect(a, (struct sockaddr *)&(struct sockaddr_in){
			.sin_family = AF_INET, .sin_port = htons(1),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK) },
			sizeof(struct sockaddr_in)));
	return 0;
}
