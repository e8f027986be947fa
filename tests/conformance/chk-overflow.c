/* SPDX-License-Identifier: MIT */
/* A fortified call with too little room ends the program, as it should. */
#include <sys/resource.h>

#include "conf.h"

ssize_t __read_chk(int fd, void *buf, size_t n, size_t room);
ssize_t __recv_chk(int fd, void *buf, size_t n, size_t room, int flags);
int __poll_chk(struct pollfd *fds, nfds_t n, int ms, size_t room);

int main(void)
{
	static const struct rlimit no_core;
	int a, b, null = open("/dev/null", O_WRONLY);

	setrlimit(RLIMIT_CORE, &no_core);
	conf_pair(&a, &b);
	for (int i = 0; i < 3; i++) {
		struct pollfd p[2] = { { .fd = b }, { .fd = b } };
		char buf[8];
		pid_t pid;

		conf_put(a, "abc", 3);
		pid = conf_fork();
		if (pid == 0) {
			dup2(null, 2);
			if (i == 0)
				__read_chk(b, buf, 8, 4);
			if (i == 1)
				__recv_chk(b, buf, 8, 4, 0);
			if (i == 2)
				__poll_chk(p, 2, 0, sizeof(p[0]));
			_exit(0);
		}
		conf_wait(pid);
		conf_get(b, buf, 3);
		conf_say("%.3s", buf);
	}
	return 0;
}
