/* SPDX-License-Identifier: MIT */
/* Every reading call is interrupted, and restarted. */
#include "conf.h"

static int a, b;
static char buf[8];

static long by_read(void)
{
	return read(b, buf, 1);
}

static long by_readv(void)
{
	struct iovec vec = { buf, 1 };

	return readv(b, &vec, 1);
}

static long by_preadv2(void)
{
	struct iovec vec = { buf, 1 };

	return preadv2(b, &vec, 1, -1, 0);
}

static long by_recvfrom(void)
{
	return recvfrom(b, buf, 1, 0, NULL, NULL);
}

static long by_recvmsg(void)
{
	struct iovec vec = { buf, 1 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };

	return recvmsg(b, &msg, 0);
}

static long by_recvmmsg(void)
{
	struct iovec vec = { buf, 1 };
	struct mmsghdr mm = { .msg_hdr = { .msg_iov = &vec, .msg_iovlen = 1 } };

	return recvmmsg(b, &mm, 1, 0, NULL);
}

static long by_peek(void)
{
	return recv(b, buf, 1, MSG_PEEK);
}

static void once(const char *what, long (*call)(void))
{
	struct conf_later l;

	conf_count(SIGUSR1, 0);
	conf_later(&l, SIGUSR1, -1, NULL);
	conf_res(what, call());
	pthread_join(l.thread, NULL);
	conf_count(SIGUSR1, SA_RESTART);
	conf_later(&l, SIGUSR1, a, "x");
	conf_res(what, call());
	pthread_join(l.thread, NULL);
}

int main(void)
{
	conf_pair(&a, &b);
	once("read", by_read);
	once("readv", by_readv);
	once("preadv2", by_preadv2);
	once("recvfrom", by_recvfrom);
	once("recvmsg", by_recvmsg);
	once("recvmmsg", by_recvmmsg);
	once("peek", by_peek);
	conf_res("recv", recv(b, buf, 8, 0));
	conf_say("signals %d", (int)conf_signals);
	return 0;
}
