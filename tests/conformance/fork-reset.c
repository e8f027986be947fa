/* SPDX-License-Identifier: MIT */
/* A connection that was reset, of which a process has heard, and then a child
 * uses it. */
#include "conf.h"

static void by_child(int fd)
{
	double start = conf_now();
	pid_t pid = conf_fork();
	char c;

	if (pid == 0) {
		conf_res("child: send", send(fd, "x", 1, MSG_NOSIGNAL));
		conf_res("child: recv", recv(fd, &c, 1, 0));
		_exit(0);
	}
	conf_wait(pid);
	conf_say("at once: %s", conf_now() - start < 1.5 ? "yes" : "no");
}

int main(void)
{
	int a, b;
	char c;

	conf_pair(&a, &b);
	conf_reset(b);
	conf_res("send", send(a, "x", 1, MSG_NOSIGNAL));
	by_child(a);
	conf_res("recv", recv(a, &c, 1, 0));

	conf_pair(&a, &b);
	conf_reset(b);
	conf_res("recv", recv(a, &c, 1, 0));
	by_child(a);
	conf_res("send", send(a, "x", 1, MSG_NOSIGNAL));
	return 0;
}
