/* SPDX-License-Identifier: MIT */
/* Urgent data: SIGURG, POLLPRI, the mark, and the byte. */
#include <linux/sockios.h>

#include "conf.h"

int main(void)
{
	int a, b, mark = -1, one = 1;
	char buf[16] = "";
	struct timeval tv = { 2, 0 };
	fd_set ex;

	conf_count(SIGURG, SA_RESTART);
	conf_pair(&a, &b);
	fcntl(b, F_SETOWN, getpid());
	conf_res("no mark", ioctl(b, SIOCATMARK, &mark));
	conf_say("%d sockatmark %d", mark, sockatmark(b));
	conf_res("no urgent", recv(b, buf, 1, MSG_OOB));
	conf_put(a, "ab", 2);
	conf_res("send OOB", send(a, "c!", 2, MSG_OOB));
	conf_put(a, "de", 2);
	conf_poll(b, POLLPRI | POLLIN, 2000);
	conf_say("SIGURG %d", (int)conf_signals);
	FD_ZERO(&ex);
	FD_SET(b, &ex);
	conf_res("select", select(b + 1, NULL, NULL, &ex, &tv));
	conf_res("recv", recv(b, buf, 16, 0));
	conf_say("%.3s", buf);
	ioctl(b, SIOCATMARK, &mark);
	conf_say("mark %d sockatmark %d", mark, sockatmark(b));
	conf_res("recv OOB", recv(b, buf, 1, MSG_OOB));
	conf_say("%.1s", buf);
	conf_res("recv", recv(b, buf, 16, 0));
	conf_say("%.2s", buf);
	setsockopt(b, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one));
	conf_put(a, "f", 1);
	conf_res("send OOB", send(a, "g", 1, MSG_OOB));
	conf_put(a, "h", 1);
	conf_poll(b, POLLPRI, 2000);
	conf_res("recv OOB", recv(b, buf, 1, MSG_OOB));
	conf_res("recv", recv(b, buf, 1, 0));
	conf_res("recv", recv(b, buf + 1, 15, MSG_WAITALL | MSG_DONTWAIT));
	conf_say("%.3s", buf);
	return 0;
}
