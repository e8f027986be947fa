/* SPDX-License-Identifier: MIT */
/* Whatever the program calls its descriptors, it is told so: also by a number
 * below what looks like an address, of any memory that there is. */
#include "conf.h"

#include <inttypes.h>

static int ep, fds[2];
static int wrong;

static void comes_back(uint64_t data)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = data }, got = { 0 };

	if (epoll_ctl(ep, EPOLL_CTL_MOD, fds[0], &ev) != 0)
		conf_die("epoll_ctl");
	if (epoll_wait(ep, &got, 1, 1000) != 1 || got.data.u64 != data)
		wrong++;
}

int main(void)
{
	struct epoll_event ev = { .events = EPOLLIN };
	uint64_t from, to;
	char line[512];
	int a, b;
	FILE *maps;

	ep = epoll_create1(0);
	conf_pair(&a, &b);
	ev.data.u32 = 5;
	conf_res("add", epoll_ctl(ep, EPOLL_CTL_ADD, b, &ev));
	conf_put(a, "x", 1);
	conf_res("wait", epoll_wait(ep, &ev, 1, -1));
	conf_res("del", epoll_ctl(ep, EPOLL_CTL_DEL, b, NULL));
	if (pipe(fds) != 0 || write(fds[1], "x", 1) != 1)
		conf_die("pipe");
	conf_res("add", epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &ev));
	maps = fopen("/proc/self/maps", "r");
	while (maps && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &to) != 2)
			continue;
		comes_back(from);
		comes_back(from + 5);
		comes_back(from + (to - from) / 2);
		comes_back((from & ~(uint64_t)0xffffffff) | 5);
		comes_back(to - 1);
	}
	for (int i = -3; i < 3; i++)
		comes_back((uint64_t)(int64_t)i);
	conf_say("wrong: %d, maps: %s", wrong, maps ? "read" : "not read");
	return 0;
}
