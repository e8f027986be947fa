/* SPDX-License-Identifier: MIT */
/* Who counts open numbers by fcntl, or closes what /proc/self/fd lists, finds
 * and harms nothing of the library's. */
#include <dirent.h>

#include "conf.h"

static int count(void)
{
	int n = 0;

	for (int fd = 0; fd < 70000; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			n++;
	return n;
}

int main(void)
{
	int a, b, before = count(), closed = 0;
	struct dirent *e;
	DIR *d;

	conf_pair(&a, &b);
	conf_say("two more: %d", count() - before);
	d = opendir("/proc/self/fd");
	while ((e = readdir(d))) {
		int fd = atoi(e->d_name);

		if (fd > 2 && fd != a && fd != b && fd != dirfd(d) && close(fd) == 0)
			closed++;
	}
	closedir(d);
	conf_say("closed more than was there: %s", closed > before - 3 ? "yes" : "no");
	conf_trip(a, b);
	close(a);
	close(b);
	conf_pair(&a, &b);
	conf_trip(a, b);
	return 0;
}
