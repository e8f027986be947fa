/* SPDX-License-Identifier: MIT */
/* How much is there to read, how much is on the way. */
#include "conf.h"

int main(void)
{
	char buf[1000] = "";
	int a, b, n = -1;

	conf_pair(&a, &b);
	conf_res("FIONREAD", ioctl(b, FIONREAD, &n));
	conf_say("%d", n);
	conf_put(a, buf, 1000);
	conf_ms(30);
	ioctl(b, FIONREAD, &n);
	conf_say("%d", n);
	conf_res("recv", recv(b, buf, 300, 0));
	ioctl(b, FIONREAD, &n);
	conf_say("%d", n);
	conf_res("recv", recv(b, buf, 1000, 0));
	ioctl(b, FIONREAD, &n);
	conf_say("%d", n);
	conf_put(a, buf, 47);
	conf_poll(b, POLLIN, 2000);
	conf_put(a, buf, 100);
	conf_ms(30);
	ioctl(b, FIONREAD, &n);
	conf_say("%d", n);
	conf_res("recv", recv(b, buf, 1000, 0));
	n = 1;
	conf_res("FIONBIO", ioctl(b, FIONBIO, &n));
	conf_res("recv", recv(b, buf, 1000, 0));
	conf_say("O_NONBLOCK %d", !!(fcntl(b, F_GETFL) & O_NONBLOCK));
	n = 0;
	conf_res("FIONBIO", ioctl(b, FIONBIO, &n));
	conf_say("O_NONBLOCK %d", !!(fcntl(b, F_GETFL) & O_NONBLOCK));
	return 0;
}
