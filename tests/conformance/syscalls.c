/* SPDX-License-Identifier: MIT */
/* The same calls by number. */
#include <sys/syscall.h>

#include "conf.h"

int main(void)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 1 };
	struct pollfd p = { .events = POLLIN };
	char buf[16];
	int a, b, c, ep = (int)syscall(SYS_epoll_create1, 0);

	conf_pair(&a, &b);
	p.fd = b;
	conf_res("write", syscall(SYS_write, a, "abcdef", 6L));
	conf_res("ppoll", syscall(SYS_ppoll, &p, 1L, NULL, NULL, 8L));
	conf_say("%s", conf_bits((unsigned short)p.revents));
	conf_res("read", syscall(SYS_read, b, buf, 3L));
	conf_res("epoll_ctl", syscall(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, b, &ev));
	conf_res("epoll_pwait", syscall(SYS_epoll_pwait, ep, &ev, 1, -1, NULL, 8L));
	c = (int)syscall(SYS_dup, b);
	conf_res("recvfrom", syscall(SYS_recvfrom, c, buf, 16L, 0, NULL, NULL));
	conf_res("close", syscall(SYS_close, b));
	conf_res("sendto", syscall(SYS_sendto, a, "xyz", 3L, 0, NULL, 0));
	conf_res("recvfrom", syscall(SYS_recvfrom, c, buf, 16L, 0, NULL, NULL));
	conf_res("close", syscall(SYS_close, c));
	conf_res("close", syscall(SYS_close, c));
	conf_res("recv", recv(a, buf, 16, 0));
	return 0;
}
