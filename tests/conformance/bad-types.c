/* SPDX-License-Identifier: MIT */
/* Calls of sockets on what is none, and the other way round. */
#include <sys/eventfd.h>
#include <sys/sendfile.h>

#include "conf.h"

static void all(int fd, const char *what)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(9),
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event ev = { .events = EPOLLIN };
	char c = 'x';
	struct iovec vec = { &c, 1 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };
	struct mmsghdr mm = { .msg_hdr = msg };
	socklen_t len = sizeof(sa), ilen = sizeof(int);
	int val = 1;

	conf_say("%s", what);
	conf_res("send", send(fd, &c, 1, 0));
	conf_res("sendmsg", sendmsg(fd, &msg, 0));
	conf_res("sendmmsg", sendmmsg(fd, &mm, 1, 0));
	conf_res("recv", recv(fd, &c, 1, MSG_DONTWAIT));
	conf_res("recvmsg", recvmsg(fd, &msg, MSG_DONTWAIT));
	conf_res("recvmmsg", recvmmsg(fd, &mm, 1, MSG_DONTWAIT, NULL));
	conf_res("connect", connect(fd, (void *)&sa, len));
	conf_res("accept", accept(fd, NULL, NULL));
	conf_res("shutdown", shutdown(fd, SHUT_WR));
	conf_res("getsockopt", getsockopt(fd, SOL_SOCKET, SO_TYPE, &val, &ilen));
	conf_res("setsockopt", setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &val, ilen));
	conf_res("getpeername", getpeername(fd, (void *)&sa, &len));
	conf_res("epoll_wait", epoll_wait(fd, &ev, 1, 0));
}

int main(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int a, b, p[2], file = conf_file(10), efd = eventfd(0, 0);
	int ep = epoll_create1(0), dir = open("/", O_RDONLY | O_DIRECTORY);
	char c;

	conf_pair(&a, &b);
	if (pipe(p) < 0)
		conf_die("pipe");
	all(p[0], "pipe");
	all(file, "file");
	all(efd, "eventfd");
	conf_say("connection");
	conf_res("epoll_wait", epoll_wait(a, &ev, 1, 0));
	conf_res("epoll_ctl", epoll_ctl(a, EPOLL_CTL_ADD, b, &ev));
	conf_res("epoll_ctl file", epoll_ctl(ep, EPOLL_CTL_ADD, file, &ev));
	conf_res("epoll_ctl dir", epoll_ctl(ep, EPOLL_CTL_ADD, dir, &ev));
	conf_res("lseek", lseek(a, 0, SEEK_CUR));
	conf_res("pread", pread(a, &c, 1, 0));
	conf_res("pwrite", pwrite(a, "x", 1, 0));
	conf_res("ftruncate", ftruncate(a, 0));
	conf_res("fsync", fsync(a));
	conf_res("fchdir", fchdir(a));
	conf_res("listen", listen(a, 5));
	conf_res("isatty", isatty(a));
	conf_res("sendfile dir", sendfile(a, dir, NULL, 10));
	conf_trip(a, b);
	return 0;
}
