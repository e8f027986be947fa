/* SPDX-License-Identifier: MIT */
/* The connection's state as TCP_INFO tells it, through its life. */
#include "conf.h"

static void say(const char *what, int fd, int want)
{
	struct tcp_info info = { 0 };
	socklen_t len = sizeof(info);

	/* What is on its way arrives. */
	for (int i = 0; i < 1000; i++) {
		len = sizeof(info);
		if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0)
			conf_die("TCP_INFO");
		if (info.tcpi_state == want)
			break;
		conf_ms(2);
	}
	conf_say("%s: %d", what, info.tcpi_state);
}

int main(void)
{
	struct sockaddr_in sa;
	int a, b, lfd = conf_listen(&sa);

	say("fresh", socket(AF_INET, SOCK_STREAM, 0), TCP_CLOSE);
	say("listener", lfd, TCP_LISTEN);
	conf_pair(&a, &b);
	say("client", a, TCP_ESTABLISHED);
	say("server", b, TCP_ESTABLISHED);
	shutdown(a, SHUT_WR);
	say("client", a, TCP_FIN_WAIT2);
	say("server", b, TCP_CLOSE_WAIT);
	shutdown(b, SHUT_WR);
	say("server", b, TCP_CLOSE);
	conf_pair(&a, &b);
	conf_reset(b);
	say("reset", a, TCP_CLOSE);
	return 0;
}
