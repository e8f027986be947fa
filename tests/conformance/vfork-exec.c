/* SPDX-License-Identifier: MIT */
/* vfork and exec, and vfork and _exit, beside a connection. */
#include "conf.h"

int main(void)
{
	int a, b;
	pid_t pid;

	conf_pair(&a, &b);
	fflush(NULL);
	pid = vfork();
	if (pid == 0) {
		execlp("true", "true", (char *)NULL);
		_exit(127);
	}
	conf_wait(pid);
	conf_trip(a, b);
	pid = vfork();
	if (pid == 0)
		_exit(9);
	conf_wait(pid);
	conf_trip(a, b);
	pid = vfork();
	if (pid == 0) {
		execl("/does/not/exist", "none", (char *)NULL);
		_exit(errno == ENOENT ? 1 : 2);
	}
	conf_wait(pid);
	conf_trip(a, b);
	return 0;
}
