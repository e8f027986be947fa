/* SPDX-License-Identifier: MIT */
/* A number is closed while a set has its connection, by one-shot, and somebody
 * else has it open: one to whom it was passed, or a child. The set reports it. */
#include "conf-pass.h"

static void closed(const char *what, int ep, int a, int b)
{
	conf_say("%s", what);
	close(b);
	conf_epoll(ep, 2000);
	conf_put(a, "more", 4);
	conf_epoll(ep, 10);
}

static void passed(void)
{
	int a, b, other, two[2], ep = epoll_create1(0);
	char buf[8] = "";

	conf_pair(&a, &b);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, two) < 0)
		conf_die("socketpair");
	conf_pass(two[0], b);
	other = conf_receive(two[1]);
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN | EPOLLONESHOT, 1);
	conf_put(a, "abc", 3);
	closed("passed", ep, a, b);
	conf_get(other, buf, 7);
	conf_say("%s", buf);
	close(other);
	close(a);
}

static void inherited(void)
{
	int a, b, hold[2], ep = epoll_create1(0);
	pid_t pid;
	char c;

	conf_pair(&a, &b);
	if (pipe(hold) < 0)
		conf_die("pipe");
	conf_watch(ep, EPOLL_CTL_ADD, b, EPOLLIN | EPOLLONESHOT, 2);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		_exit(read(hold[0], &c, 1) == 0 ? 0 : 1);
	}
	conf_put(a, "abc", 3);
	closed("inherited", ep, a, b);
	close(hold[1]);
	if (waitpid(pid, NULL, 0) != pid)
		conf_die("waitpid");
	close(a);
}

int main(void)
{
	passed();
	inherited();
	return 0;
}
