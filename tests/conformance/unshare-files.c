/* SPDX-License-Identifier: MIT */
/* A program with one thread takes a descriptor table of its own, which it has
 * anyway. Where its connections lead does not change. */
#include <linux/close_range.h>
#include <sched.h>
#include <sys/syscall.h>

#include "conf.h"

int main(void)
{
	int a, b, c, d;

	conf_pair(&a, &b);
	conf_res("unshare", unshare(CLONE_FILES));
	conf_trip(a, b);
	conf_res("unshare", unshare(CLONE_FILES | CLONE_FS));
	conf_res("syscall", syscall(SYS_unshare, CLONE_FILES));
	conf_res("no flag", unshare(0));
	conf_res("bad flag", unshare(1));
	conf_res("bad flags", unshare(CLONE_FILES | 1));
	conf_trip(a, b);
	conf_res("cloexec", close_range(a, b, CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC));
	conf_say("%d %d", fcntl(a, F_GETFD), fcntl(b, F_GETFD));
	conf_trip(b, a);
	conf_pair(&c, &d);
	conf_trip(c, d);
	conf_res("close_range", close_range(c, c, CLOSE_RANGE_UNSHARE));
	conf_res("eof", recv(d, (char[1]){ 0 }, 1, 0));
	conf_trip(a, b);
	return 0;
}
