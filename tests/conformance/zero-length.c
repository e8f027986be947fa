/* SPDX-License-Identifier: MIT */
/* Reads and writes of nothing. */
#include "conf.h"

/* SO_RCVTIMEO runs out. */
static void too_late(int fd)
{
	struct timeval tv = { .tv_usec = 20000 };
	char c;

	conf_nonblock(fd, false);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	conf_res("recv, too late", recv(fd, &c, 0, 0));
	conf_res("recv PEEK, too late", recv(fd, &c, 0, MSG_PEEK));
	conf_res("recv of one, too late", recv(fd, &c, 1, 0));
	conf_nonblock(fd, true);
}

/* Of a connection that is new: what it was accepted with holds at once. */
static void fresh(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), a = conf_connect(&sa);
	int b = accept4(lfd, NULL, NULL, SOCK_NONBLOCK);
	char c;

	conf_res("recv, new, non-blocking", recv(b, &c, 0, 0));
	conf_res("recv WAITALL, new, non-blocking", recv(b, &c, 0, MSG_WAITALL));
	close(a);
	close(b);
	close(lfd);
}

int main(void)
{
	char c = 'x';
	struct iovec none[2] = { { &c, 0 }, { NULL, 0 } };
	struct msghdr msg = { .msg_iov = none, .msg_iovlen = 2 };
	int a, b;

	conf_pair(&a, &b);
	too_late(b);
	conf_nonblock(b, true);
	for (int i = 0; i < 3; i++) {
		conf_res("write", write(a, &c, 0));
		conf_res("send", send(a, &c, 0, 0));
		conf_res("writev", writev(a, none, 2));
		conf_res("sendmsg", sendmsg(a, &msg, 0));
		conf_res("read", read(b, &c, 0));
		conf_res("recv", recv(b, &c, 0, 0));
		conf_res("recv PEEK", recv(b, &c, 0, MSG_PEEK));
		conf_res("readv", readv(b, none, 2));
		conf_res("readv none", readv(b, none, 0));
		conf_res("recvmsg", recvmsg(b, &msg, 0));
		if (i == 0) {
			conf_say("with a byte there");
			conf_put(a, "x", 1);
			conf_poll(b, POLLIN, 2000);
		} else if (i == 1) {
			conf_say("at the end");
			conf_res("recv", recv(b, &c, 1, 0));
			signal(SIGPIPE, SIG_IGN);
			shutdown(a, SHUT_WR);
			conf_poll(b, POLLIN, 2000);
		}
	}
	fresh();
	return 0;
}
