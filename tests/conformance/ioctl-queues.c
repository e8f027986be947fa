/* SPDX-License-Identifier: MIT */
/* How much waits to be read, and to be sent. */
#include <linux/sockios.h>

#include "conf.h"

static void say(const char *what, int fd, unsigned long req)
{
	int n = -1;

	conf_res(what, ioctl(fd, req, &n));
	conf_say("  %d", n);
}

int main(void)
{
	struct sockaddr_in sa;
	char buf[4000] = "";
	int a, b, n = -1, lfd = conf_listen(&sa);

	conf_pair(&a, &b);
	say("SIOCINQ", b, SIOCINQ);
	say("SIOCATMARK", b, SIOCATMARK);
	conf_put(a, buf, 4000);
	conf_poll(b, POLLIN, 2000);
	say("SIOCINQ", b, SIOCINQ);
	say("FIONREAD", b, FIONREAD);
	conf_res("peek", recv(b, buf, 4000, MSG_PEEK));
	conf_res("recv", recv(b, buf, 1000, 0));
	say("SIOCINQ", b, SIOCINQ);
	conf_res("recv", recv(b, buf, 3000, MSG_WAITALL));
	say("SIOCINQ", b, SIOCINQ);
	conf_put(b, "x", 1);
	conf_get(a, buf, 1);
	for (int i = 0; i < 1000 && n; i++) {
		ioctl(a, SIOCOUTQ, &n);
		conf_ms(1);
	}
	conf_say("SIOCOUTQ in the end %d", n);
	say("SIOCOUTQNSD", a, SIOCOUTQNSD);
	conf_put(a, buf, 10);
	shutdown(a, SHUT_WR);
	conf_poll(b, POLLRDHUP, 2000);
	say("SIOCINQ", b, SIOCINQ);
	conf_res("recv", recv(b, buf, 3000, MSG_WAITALL));
	say("SIOCINQ at the end", b, SIOCINQ);
	say("listener", lfd, SIOCINQ);
	say("fresh", socket(AF_INET, SOCK_STREAM, 0), SIOCOUTQ);
	return 0;
}
