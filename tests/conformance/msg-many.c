/* SPDX-License-Identifier: MIT */
/* recvmmsg and sendmmsg: times, flags, partial results. */
#include "conf.h"

static char buf[4][8];
static struct iovec vec[4];
static struct mmsghdr mm[4];

static void set(unsigned int n, size_t len)
{
	memset(mm, 0, sizeof(mm));
	memset(buf, 0, sizeof(buf));
	for (unsigned int i = 0; i < n; i++) {
		vec[i] = (struct iovec){ buf[i], len };
		mm[i].msg_hdr = (struct msghdr){ .msg_iov = &vec[i], .msg_iovlen = 1 };
	}
}

static void say(const char *what, int r)
{
	conf_res(what, r);
	for (int i = 0; i < r; i++)
		conf_say("  %u %.8s", mm[i].msg_len, buf[i]);
}

int main(void)
{
	struct timespec ts = { 0, 20000000 };
	int a, b;

	conf_pair(&a, &b);
	conf_put(a, "abcdefghij", 10);
	conf_poll(b, POLLIN, 2000);
	set(4, 3);
	say("DONTWAIT", recvmmsg(b, mm, 4, MSG_DONTWAIT, NULL));
	set(4, 3);
	say("DONTWAIT", recvmmsg(b, mm, 4, MSG_DONTWAIT, NULL));
	conf_put(a, "abcd", 4);
	conf_poll(b, POLLIN, 2000);
	set(4, 3);
	say("WAITFORONE", recvmmsg(b, mm, 4, MSG_WAITFORONE, NULL));
	conf_put(a, "abcd", 4);
	conf_poll(b, POLLIN, 2000);
	set(2, 2);
	say("time", recvmmsg(b, mm, 2, 0, &ts));
	conf_say("time left: %d", ts.tv_sec == 0 && ts.tv_nsec <= 20000000);
	ts.tv_nsec = -1;
	conf_res("bad time", recvmmsg(b, mm, 2, MSG_DONTWAIT, &ts));
	conf_res("none", recvmmsg(b, mm, 0, 0, NULL));
	conf_res("none", sendmmsg(a, mm, 0, 0));
	set(3, 2);
	memcpy(buf, "ab\0\0\0\0\0\0cd\0\0\0\0\0\0ef", 19);
	mm[2].msg_hdr.msg_iovlen = 5000;
	say("third is bad", sendmmsg(a, mm, 3, 0));
	shutdown(a, SHUT_WR);
	conf_res("EPIPE", sendmmsg(a, mm, 3, MSG_NOSIGNAL));
	set(4, 3);
	say("rest, then end", recvmmsg(b, mm, 4, 0, NULL));
	return 0;
}
