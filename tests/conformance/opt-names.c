/* SPDX-License-Identifier: MIT */
/* Options of a connection that are read, set and read again. */
#include "conf.h"

static int a, b;

static void opt(const char *what, int level, int name, int val)
{
	int got = -1;
	socklen_t len = sizeof(got);

	conf_res(what, getsockopt(a, level, name, &got, &len));
	conf_say("  %d (%u)", got, (unsigned int)len);
	conf_res("  set", setsockopt(a, level, name, &val, sizeof(val)));
	len = sizeof(got);
	getsockopt(a, level, name, &got, &len);
	conf_say("  %d", got);
}

int main(void)
{
	conf_pair(&a, &b);
	opt("SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, 1);
	opt("SO_OOBINLINE", SOL_SOCKET, SO_OOBINLINE, 1);
	opt("SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR, 1);
	opt("SO_PRIORITY", SOL_SOCKET, SO_PRIORITY, 3);
	opt("SO_RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT, 1);
	opt("SO_SNDLOWAT", SOL_SOCKET, SO_SNDLOWAT, 1);
	opt("SO_TYPE", SOL_SOCKET, SO_TYPE, 1);
	opt("SO_DOMAIN", SOL_SOCKET, SO_DOMAIN, 1);
	opt("SO_PROTOCOL", SOL_SOCKET, SO_PROTOCOL, 1);
	opt("SO_ACCEPTCONN", SOL_SOCKET, SO_ACCEPTCONN, 1);
	opt("TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, 0);
	opt("TCP_CORK", IPPROTO_TCP, TCP_CORK, 1);
	opt("TCP_CORK", IPPROTO_TCP, TCP_CORK, 0);
	opt("TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, 100);
	opt("TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, 7);
	opt("TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, 3);
	opt("TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, 5000);
	opt("TCP_LINGER2", IPPROTO_TCP, TCP_LINGER2, 5);
	opt("TCP_DEFER_ACCEPT", IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
	opt("IP_TTL", IPPROTO_IP, IP_TTL, 77);
	opt("IP_TOS", IPPROTO_IP, IP_TOS, 16);
	opt("none", SOL_SOCKET, 9999, 1);
	opt("none", IPPROTO_TCP, 9999, 1);
	opt("none", 9999, 1, 1);
	conf_trip(a, b);
	return 0;
}
