/* SPDX-License-Identifier: MIT */
/* dprintf, vdprintf and their fortified forms amid other writes. */
#include "conf.h"

int __dprintf_chk(int fd, int flag, const char *fmt, ...);
int __vdprintf_chk(int fd, int flag, const char *fmt, va_list ap);

static int v(int fd, bool chk, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = chk ? __vdprintf_chk(fd, 1, fmt, ap) : vdprintf(fd, fmt, ap);
	va_end(ap);
	return r;
}

static void server(int fd)
{
	char buf[64] = "";

	conf_res("recv", recv(fd, buf, 35, MSG_WAITALL));
	conf_say("%s", buf);
	conf_res("recv", recv(fd, buf, 1, 0));
}

static void client(int fd)
{
	conf_put(fd, "one ", 4);
	conf_res("dprintf", dprintf(fd, "two %d ", 2));
	conf_put(fd, "three ", 6);
	conf_res("__dprintf_chk", __dprintf_chk(fd, 1, "four "));
	conf_res("vdprintf", v(fd, false, "five "));
	conf_res("__vdprintf_chk", v(fd, true, "six%d ", 6));
	conf_put(fd, "end.", 4);
	shutdown(fd, SHUT_WR);
}

int main(void)
{
	return conf_two(server, client);
}
