/* SPDX-License-Identifier: MIT */
/* O_NONBLOCK belongs to the connection, FD_CLOEXEC to the number. */
#include "conf.h"

int main(void)
{
	int a, b, c, d;
	char buf[4];

	conf_pair(&a, &b);
	c = dup(b);
	d = dup3(b, 80, O_CLOEXEC);
	conf_say("cloexec %d %d %d", fcntl(b, F_GETFD), fcntl(c, F_GETFD),
		 fcntl(d, F_GETFD));
	conf_nonblock(c, true);
	conf_say("nonblock %d", !!(fcntl(b, F_GETFL) & O_NONBLOCK));
	conf_res("recv", recv(b, buf, 1, 0));
	conf_res("recv", recv(d, buf, 1, 0));
	fcntl(b, F_SETFD, FD_CLOEXEC);
	conf_say("cloexec %d %d", fcntl(b, F_GETFD), fcntl(c, F_GETFD));
	conf_nonblock(d, false);
	conf_say("nonblock %d", !!(fcntl(c, F_GETFL) & O_NONBLOCK));
	conf_say("access %d", fcntl(c, F_GETFL) & O_ACCMODE);
	conf_trip(a, c);
	return 0;
}
