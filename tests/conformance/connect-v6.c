/* SPDX-License-Identifier: MIT */
/* IPv6, and IPv4 mapped into it. */
#include "conf.h"

static int listen6(struct sockaddr_in6 *ret_sa)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6 };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET6, SOCK_STREAM, 0), zero = 0;

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	if (bind(fd, (void *)&sa, sizeof(sa)) < 0 || listen(fd, 8) < 0 ||
	    getsockname(fd, (void *)&sa, &len) < 0)
		return -1;
	*ret_sa = sa;
	return fd;
}

static void use(const char *what, int lfd, int c, const void *to, socklen_t len)
{
	struct sockaddr_in6 peer;
	socklen_t plen = sizeof(peer);
	char buf[64] = "", text[64];
	int s;

	conf_say("%s", what);
	if (conf_res("connect", connect(c, to, len)) < 0)
		return;
	s = accept(lfd, (void *)&peer, &plen);
	conf_say("from %s length %u",
		 inet_ntop(AF_INET6, &peer.sin6_addr, text, sizeof(text)),
		 (unsigned int)plen);
	conf_trips(c, s, 200);
	conf_trip(c, s);
	conf_put(c, "abc", 3);
	conf_poll(s, CONF_ALL, 2000);
	shutdown(c, SHUT_WR);
	conf_res("recv", recv(s, buf, 64, MSG_WAITALL));
	close(s);
	close(c);
}

int main(void)
{
	struct sockaddr_in6 sa;
	struct sockaddr_in v4 = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int a, b, lfd = listen6(&sa);

	conf_pair(&a, &b);
	conf_trip(a, b);
	if (lfd < 0) {
		conf_say("no IPv6");
		return 0;
	}
	v4.sin_port = sa.sin6_port;
	use("IPv4", lfd, socket(AF_INET, SOCK_STREAM, 0), &v4, sizeof(v4));
	inet_pton(AF_INET6, "::ffff:127.0.0.1", &sa.sin6_addr);
	use("mapped", lfd, socket(AF_INET6, SOCK_STREAM, 0), &sa, sizeof(sa));
	sa.sin6_addr = in6addr_loopback;
	use("IPv6", lfd, socket(AF_INET6, SOCK_STREAM, 0), &sa, sizeof(sa));
	return 0;
}
