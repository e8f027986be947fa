/* SPDX-License-Identifier: MIT */
/* SO_ERROR of one whose peer had ended its half, and then closed unread bytes:
 * EPIPE, once. */
#include "conf.h"

static void say(int fd)
{
	int err = 0;
	socklen_t len = sizeof(err);

	conf_res("SO_ERROR", getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len));
	conf_say("  %s", err ? strerrorname_np(err) : "none");
}

int main(void)
{
	int a, b;

	conf_pair(&a, &b);
	shutdown(b, SHUT_WR);
	conf_poll(a, POLLRDHUP, 2000);
	conf_put(a, "1234567", 7);
	conf_ms(20);
	conf_res("close", close(b));
	conf_poll(a, 0, 2000);
	conf_ms(20);
	say(a);
	conf_poll(a, 0, 0);
	say(a);
	conf_res("send", send(a, "x", 1, MSG_NOSIGNAL));
	return 0;
}
