/* SPDX-License-Identifier: MIT */
/* MSG_WAITALL of a megabyte that comes in odd pieces. */
#include "conf.h"

#define SIZE 1000000u

static void server(int fd)
{
	static uint8_t buf[SIZE];
	size_t pos = 0;

	conf_fill(buf, SIZE, 0);
	for (size_t n = 1; pos < SIZE; n = n * 3 % 40009 + 1) {
		if (n > SIZE - pos)
			n = SIZE - pos;
		conf_put(fd, buf + pos, n);
		pos += n;
	}
	conf_put(fd, "tail", 4);
	shutdown(fd, SHUT_WR);
}

static void client(int fd)
{
	static uint8_t buf[SIZE];
	struct iovec vec[3] = { { buf, 7 }, { buf + 7, 99993 }, { buf + 100000, 200000 } };
	struct msghdr msg = { .msg_iov = vec, .msg_iovlen = 3 };

	conf_res("recvmsg", recvmsg(fd, &msg, MSG_WAITALL));
	conf_res("recv", recv(fd, buf + 300000, 700000, MSG_WAITALL));
	conf_say("same %d", conf_same(buf, SIZE, 0));
	conf_res("peek", recv(fd, buf, 4, MSG_PEEK | MSG_WAITALL));
	conf_res("recv", recv(fd, buf, 100, MSG_WAITALL));
	conf_say("%.4s", (char *)buf);
}

int main(void)
{
	return conf_two(server, client);
}
