/* SPDX-License-Identifier: MIT */
/* The rest of the calls by number. */
#include <sys/syscall.h>

#include "conf.h"

int main(void)
{
	struct sockaddr_in sa;
	socklen_t len = sizeof(sa);
	char buf[16] = "";
	struct iovec vec = { buf, 3 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };
	struct mmsghdr mm = { .msg_hdr = msg };
	struct timespec ts = { 2, 0 };
	struct epoll_event ev = { .events = EPOLLIN };
	int lfd = conf_listen(&sa), a, b, c, s, val = -1, ep;
	fd_set rd;

	conf_pair(&a, &b);
	c = (int)syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
	conf_res("connect", syscall(SYS_connect, c, &sa, (long)sizeof(sa)));
	s = (int)syscall(SYS_accept4, lfd, NULL, NULL, SOCK_CLOEXEC);
	conf_say("cloexec %d", fcntl(s, F_GETFD));
	conf_trip(c, s);
	conf_res("sendmsg", syscall(SYS_sendmsg, a, &msg, 0L));
	conf_res("sendmmsg", syscall(SYS_sendmmsg, a, &mm, 1L, 0L));
	conf_res("writev", syscall(SYS_writev, a, &vec, 1L));
	conf_res("pwritev2", syscall(SYS_pwritev2, a, &vec, 1L, -1L, -1L, 0L));
	FD_ZERO(&rd);
	FD_SET(b, &rd);
	conf_res("pselect6", syscall(SYS_pselect6, b + 1, &rd, NULL, NULL, &ts, NULL));
	conf_res("FIONREAD", syscall(SYS_ioctl, b, FIONREAD, &val));
	conf_say("%s", val >= 3 ? "some" : "none");
	conf_res("recvmsg", syscall(SYS_recvmsg, b, &msg, (long)MSG_WAITALL));
	conf_res("recvmmsg", syscall(SYS_recvmmsg, b, &mm, 1L, (long)MSG_WAITALL, NULL));
	conf_res("readv", syscall(SYS_readv, b, &vec, 1L));
	conf_res("preadv2", syscall(SYS_preadv2, b, &vec, 1L, -1L, -1L, 0L));
	ep = (int)syscall(SYS_epoll_create1, 0);
	syscall(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, b, &ev);
	conf_res("epoll_pwait", syscall(SYS_epoll_pwait, ep, &ev, 1, 10, NULL, 8L));
	conf_res("fcntl", syscall(SYS_fcntl, b, F_SETFL, O_NONBLOCK));
	conf_res("recvfrom", syscall(SYS_recvfrom, b, buf, 1L, 0L, NULL, NULL));
	conf_say("dup3 %d", (int)syscall(SYS_dup3, b, 70, O_CLOEXEC));
	conf_res("getpeername", syscall(SYS_getpeername, b, &sa, &len));
	conf_res("shutdown", syscall(SYS_shutdown, a, SHUT_WR));
	conf_poll(b, POLLIN, 2000);
	conf_res("read", syscall(SYS_read, 70, buf, 1L));
	conf_res("close_range", syscall(SYS_close_range, 70L, 70L, 0L));
	conf_res("read", syscall(SYS_read, 70, buf, 1L));
	conf_res("nonsense", syscall(9999));
	return 0;
}
