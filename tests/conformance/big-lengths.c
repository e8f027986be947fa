/* SPDX-License-Identifier: MIT */
/* Lengths beyond 2 GiB are cut, not refused. */
#include <sys/mman.h>

#include "conf.h"

#define HUGE ((size_t)3 << 30)

int main(void)
{
	char *p = mmap(NULL, HUGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	struct iovec two[2] = { { p, HUGE }, { p, HUGE } };
	struct iovec over[2] = { { p, SIZE_MAX / 2 }, { p, SIZE_MAX / 2 } };
	struct msghdr msg = { .msg_iov = two, .msg_iovlen = 2 };
	size_t sum = 0, got = 0;
	ssize_t r;
	int a, b;

	if (p == MAP_FAILED)
		conf_die("mmap");
	conf_pair(&a, &b);
	conf_put(a, "abc", 3);
	conf_poll(b, POLLIN, 2000);
	conf_res("recv", recv(b, p, HUGE, 0));
	conf_put(a, "abc", 3);
	conf_poll(b, POLLIN, 2000);
	conf_res("read", read(b, p, HUGE));
	conf_put(a, "abc", 3);
	conf_poll(b, POLLIN, 2000);
	conf_res("recvmsg", recvmsg(b, &msg, 0));
	conf_res("readv over", readv(b, over, 2));
	conf_res("writev over", writev(a, over, 2));
	conf_nonblock(a, true);
	r = write(a, p, HUGE);
	conf_say("write: %s", r > 0 && r < 0x7fffffff ? "some" : "wrong");
	sum += r > 0 ? (size_t)r : 0;
	r = sendmsg(a, &msg, 0);
	conf_say("sendmsg: %s", r < 0x7fffffff ? "some" : "wrong");
	sum += r > 0 ? (size_t)r : 0;
	shutdown(a, SHUT_WR);
	while ((r = recv(b, p, 1 << 20, 0)) > 0)
		got += (size_t)r;
	conf_say("all of it: %s", got == sum ? "yes" : "no");
	return 0;
}
