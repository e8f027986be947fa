/* SPDX-License-Identifier: MIT */
/* Counts and lengths that cannot be. */
#include "conf.h"

int main(void)
{
	volatile int minus = -1;
	volatile nfds_t many_fds = (nfds_t)-1;
	char x[4] = "xyz", ctl[8];
	struct iovec neg = { x, (size_t)-1 };
	struct iovec pair[2] = { { x, 2 }, { x, (size_t)-3 } };
	struct msghdr msg = { .msg_iov = &neg, .msg_iovlen = 1 };
	struct msghdr many = { .msg_iov = &neg, .msg_iovlen = (size_t)-1 };
	struct sockaddr_in sa;
	struct msghdr name = { .msg_iov = pair, .msg_iovlen = 1, .msg_name = &sa,
			       .msg_namelen = (socklen_t)-1 };
	socklen_t len = 0, bad = (socklen_t)-1;
	int a, b, val = 1;

	conf_pair(&a, &b);
	conf_res("readv", readv(b, &neg, 1));
	conf_res("writev", writev(a, &neg, 1));
	conf_res("readv", readv(b, pair, 2));
	conf_res("writev", writev(a, pair, 2));
	conf_res("readv -1", readv(b, pair, minus));
	conf_res("writev -1", writev(a, pair, minus));
	conf_res("sendmsg", sendmsg(a, &msg, 0));
	conf_res("recvmsg", recvmsg(b, &msg, MSG_DONTWAIT));
	conf_res("sendmsg many", sendmsg(a, &many, 0));
	conf_res("recvmsg many", recvmsg(b, &many, MSG_DONTWAIT));
	conf_res("sendmsg name", sendmsg(a, &name, 0));
	conf_res("recvmsg name", recvmsg(b, &name, MSG_DONTWAIT));
	conf_res("getsockopt 0", getsockopt(a, SOL_SOCKET, SO_TYPE, &val, &len));
	conf_say("%u", (unsigned int)len);
	conf_res("getsockopt -1", getsockopt(a, SOL_SOCKET, SO_TYPE, &val, &bad));
	conf_res("setsockopt 0", setsockopt(a, SOL_SOCKET, SO_KEEPALIVE, &val, 0));
	conf_res("poll", poll((struct pollfd *)ctl, many_fds, 0));
	conf_res("epoll_wait", epoll_wait(epoll_create1(0), (void *)ctl, minus, 0));
	conf_res("select", select(minus, NULL, NULL, NULL, NULL));
	conf_trip(a, b);
	return 0;
}
