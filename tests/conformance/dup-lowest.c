/* SPDX-License-Identifier: MIT */
/* New numbers are the lowest that are free, as POSIX says, whatever the
 * library has open. */
#include "conf.h"

int main(void)
{
	int a, b, c, d, base = dup(0), p[2];

	close(base);
	conf_pair(&a, &b);
	conf_say("pair %d %d", a - base, b - base);
	c = dup(a);
	conf_say("dup %d", c - base);
	close(a);
	d = dup(b);
	conf_say("dup %d", d - base);
	conf_trip(c, b);
	if (pipe(p) < 0)
		conf_die("pipe");
	conf_say("pipe %d %d", p[0] - base, p[1] - base);
	close(c);
	c = open("/dev/null", O_RDONLY);
	conf_say("open %d", c - base);
	conf_say("F_DUPFD %d", fcntl(b, F_DUPFD, base) - base);
	conf_say("F_DUPFD %d", fcntl(b, F_DUPFD, 200));
	conf_say("F_DUPFD_CLOEXEC %d", fcntl(b, F_DUPFD_CLOEXEC, 200));
	return 0;
}
