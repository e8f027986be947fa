/* SPDX-License-Identifier: MIT */
/* Which calls raise SIGPIPE on a connection shut down for writing. */
#include <sys/sendfile.h>

#include "conf.h"

int main(void)
{
	struct iovec vec = { (char *)"x", 1 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };
	struct mmsghdr mm = { .msg_hdr = msg };
	int a, b, file = conf_file(100);

	conf_count(SIGPIPE, 0);
	conf_pair(&a, &b);
	shutdown(a, SHUT_WR);
	conf_res("write", write(a, "x", 1));
	conf_say("%d", (int)conf_signals);
	conf_res("writev", writev(a, &vec, 1));
	conf_say("%d", (int)conf_signals);
	conf_res("pwritev2", pwritev2(a, &vec, 1, -1, 0));
	conf_say("%d", (int)conf_signals);
	conf_res("send", send(a, "x", 1, 0));
	conf_say("%d", (int)conf_signals);
	conf_res("sendto", sendto(a, "x", 1, 0, NULL, 0));
	conf_say("%d", (int)conf_signals);
	conf_res("sendmsg", sendmsg(a, &msg, 0));
	conf_say("%d", (int)conf_signals);
	conf_res("sendmmsg", sendmmsg(a, &mm, 1, 0));
	conf_say("%d", (int)conf_signals);
	conf_res("sendfile", sendfile(a, file, NULL, 10));
	conf_say("%d position %ld", (int)conf_signals, (long)lseek(file, 0, SEEK_CUR));
	conf_res("NOSIGNAL send", send(a, "x", 1, MSG_NOSIGNAL));
	conf_res("NOSIGNAL sendmsg", sendmsg(a, &msg, MSG_NOSIGNAL));
	conf_res("NOSIGNAL sendmmsg", sendmmsg(a, &mm, 1, MSG_NOSIGNAL));
	conf_say("%d", (int)conf_signals);
	return 0;
}
