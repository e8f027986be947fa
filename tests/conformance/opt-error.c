/* SPDX-License-Identifier: MIT */
/* SO_ERROR after a reset: once, and then nobody else hears of it. */
#include "conf.h"

static int so_error(int fd)
{
	int err = -1;
	socklen_t len = sizeof(err);

	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	return err;
}

int main(void)
{
	int a, b;
	char c;

	conf_pair(&a, &b);
	conf_say("%d", so_error(a));
	conf_reset(b);
	conf_poll(a, 0, 2000);
	conf_say("%s", strerrorname_np(so_error(a)));
	conf_say("%d", so_error(a));
	conf_res("recv", recv(a, &c, 1, 0));
	conf_res("send", send(a, "x", 1, MSG_NOSIGNAL));
	return 0;
}
