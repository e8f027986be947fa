/* SPDX-License-Identifier: MIT */
/* Reading from a non-blocking socket: nothing there, something, all of it. */
#include "conf.h"

int main(void)
{
	char buf[64];
	int a, b;

	conf_pair(&a, &b);
	conf_nonblock(b, true);
	conf_res("recv", recv(b, buf, sizeof(buf), 0));
	conf_put(a, "0123456789", 10);
	conf_poll(b, POLLIN, 2000);
	conf_res("read 4", read(b, buf, 4));
	conf_res("read 64", read(b, buf, 64));
	conf_res("read 64", read(b, buf, 64));
	conf_res("read 0", read(b, buf, 0));
	conf_nonblock(b, false);
	conf_put(a, "x", 1);
	conf_res("read", read(b, buf, 64));
	return 0;
}
