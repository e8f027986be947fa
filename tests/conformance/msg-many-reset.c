/* SPDX-License-Identifier: MIT */
/* recvmmsg says a pending error before it reads what came before it. */
#include "conf.h"

static void many(int fd)
{
	char buf[2][3];
	struct iovec vec[2] = { { buf[0], 3 }, { buf[1], 3 } };
	struct mmsghdr msgs[2] = { { .msg_hdr = { .msg_iov = &vec[0], .msg_iovlen = 1 } },
				   { .msg_hdr = { .msg_iov = &vec[1], .msg_iovlen = 1 } } };
	int r = (int)conf_res("recvmmsg", recvmmsg(fd, msgs, 2, MSG_DONTWAIT, NULL));

	for (int i = 0; i < r; i++)
		conf_say("  %u", msgs[i].msg_len);
}

int main(void)
{
	int a, b;

	conf_pair(&a, &b);
	many(a);
	conf_put(b, "12345", 5);
	conf_reset(b);
	conf_poll(a, 0, 2000);
	many(a);
	many(a);
	many(a);
	return 0;
}
