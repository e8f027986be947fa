/* SPDX-License-Identifier: MIT */
/* SO_RCVTIMEO and SO_SNDTIMEO: what is stored, what is refused, and that
 * readiness and MSG_DONTWAIT do not care. */
#include "conf.h"

static void set(int fd, long sec, long usec)
{
	struct timeval tv = { sec, usec }, got = { -1, -1 };
	socklen_t len = sizeof(got);

	conf_res("set", setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &got, &len);
	conf_say("  %ld.%06ld (%u)", (long)got.tv_sec, (long)got.tv_usec,
		 (unsigned int)len);
}

int main(void)
{
	struct conf_later l;
	char buf[8];
	int a, b;

	conf_pair(&a, &b);
	set(b, 0, 0);
	set(b, 1, 500000);
	set(b, 0, 1000000);
	set(b, 0, -1);
	set(b, -1, 0);
	conf_res("negative", recv(b, buf, 1, 0));
	set(b, 0, 50000);
	conf_res("recv", recv(b, buf, 1, 0));
	conf_res("PEEK", recv(b, buf, 1, MSG_PEEK));
	conf_res("readv", readv(b, &(struct iovec){ buf, 1 }, 1));
	conf_res("DONTWAIT", recv(b, buf, 1, MSG_DONTWAIT));
	conf_poll(b, POLLIN, 10);
	set(b, 10, 0);
	conf_later(&l, 0, a, "x");
	conf_res("recv", recv(b, buf, 1, 0));
	pthread_join(l.thread, NULL);
	conf_res("short", setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, buf, 4));
	return 0;
}
