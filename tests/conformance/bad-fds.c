/* SPDX-License-Identifier: MIT */
/* Every call on a number that is not open: EBADF, while connections are. */
#include <sys/sendfile.h>

#include "conf.h"

int main(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(9),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event ev = { .events = EPOLLIN };
	char c = 'x';
	struct iovec vec = { &c, 1 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };
	struct mmsghdr mm = { .msg_hdr = msg };
	socklen_t len = sizeof(sa), ilen = sizeof(int);
	int a, b, val = 1, ep = epoll_create1(0);

	conf_pair(&a, &b);
	for (int i = 0; i < 2; i++) {
		int bad = i ? -1 : 901;

		conf_say("fd %d", bad);
		conf_res("read", read(bad, &c, 1));
		conf_res("write", write(bad, &c, 1));
		conf_res("readv", readv(bad, &vec, 1));
		conf_res("writev", writev(bad, &vec, 1));
		conf_res("preadv2", preadv2(bad, &vec, 1, -1, 0));
		conf_res("pwritev2", pwritev2(bad, &vec, 1, -1, 0));
		conf_res("send", send(bad, &c, 1, 0));
		conf_res("sendto", sendto(bad, &c, 1, 0, (void *)&sa, len));
		conf_res("sendmsg", sendmsg(bad, &msg, 0));
		conf_res("sendmmsg", sendmmsg(bad, &mm, 1, 0));
		conf_res("recv", recv(bad, &c, 1, 0));
		conf_res("recvfrom", recvfrom(bad, &c, 1, 0, NULL, NULL));
		conf_res("recvmsg", recvmsg(bad, &msg, 0));
		conf_res("recvmmsg", recvmmsg(bad, &mm, 1, 0, NULL));
		conf_res("sendfile out", sendfile(bad, a, NULL, 1));
		conf_res("sendfile in", sendfile(a, bad, NULL, 1));
		conf_res("splice", splice(bad, NULL, a, NULL, 1, 0));
		conf_res("splice", splice(a, NULL, bad, NULL, 1, 0));
		conf_res("connect", connect(bad, (void *)&sa, len));
		conf_res("accept", accept(bad, NULL, NULL));
		conf_res("shutdown", shutdown(bad, SHUT_WR));
		conf_res("getsockopt", getsockopt(bad, SOL_SOCKET, SO_TYPE, &val, &ilen));
		conf_res("setsockopt",
			 setsockopt(bad, SOL_SOCKET, SO_KEEPALIVE, &val, ilen));
		conf_res("getpeername", getpeername(bad, (void *)&sa, &len));
		conf_res("dup", dup(bad));
		conf_res("dup2 from", dup2(bad, a));
		conf_res("dup3 from", dup3(bad, a, 0));
		conf_res("fcntl", fcntl(bad, F_GETFL));
		conf_res("ioctl", ioctl(bad, FIONREAD, &val));
		conf_res("epoll_ctl", epoll_ctl(bad, EPOLL_CTL_ADD, a, &ev));
		conf_res("epoll_ctl", epoll_ctl(ep, EPOLL_CTL_ADD, bad, &ev));
		conf_res("epoll_wait", epoll_wait(bad, &ev, 1, 0));
		conf_res("close", close(bad));
		conf_poll(bad, POLLIN, 0);
	}
	conf_res("dup2 to", dup2(a, -1));
	conf_trip(a, b);
	return 0;
}
