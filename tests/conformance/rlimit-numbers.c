/* SPDX-License-Identifier: MIT */
/* All numbers below the limit are the program's, while connections are made and
 * when they are there: to be given, and to be taken by dup2. And the limit is
 * what it has set, to itself and to a program that it starts. */
#include <sys/resource.h>

#include "conf.h"

#define PAIRS 6

static struct rlimit lim;
static _Atomic bool done;
static _Atomic int strange;

static void *look(void *arg)
{
	(void)arg;
	while (!done) {
		struct rlimit now;

		if (getrlimit(RLIMIT_NOFILE, &now) != 0 || now.rlim_cur != lim.rlim_cur ||
		    now.rlim_max != lim.rlim_max)
			strange++;
	}
	return NULL;
}

/* Every number from there on is given out, the lowest first. */
static void take_all(int from)
{
	int n = from, fd;

	while ((fd = dup(0)) == n)
		n++;
	conf_res("dup", fd);
	conf_say("given: %s", n == (int)lim.rlim_cur ? "all" : "not all");
}

int main(void)
{
	int a[PAIRS], b[PAIRS], taken = 0, high;
	char line[32] = "";
	pthread_t t;
	FILE *f;

	getrlimit(RLIMIT_NOFILE, &lim);
	lim.rlim_cur = lim.rlim_max / 2 < 512 ? lim.rlim_max / 2 : 512;
	conf_res("setrlimit", setrlimit(RLIMIT_NOFILE, &lim));
	if (pthread_create(&t, NULL, look, NULL) != 0)
		conf_die("pthread_create");
	for (int i = 0; i < PAIRS; i++)
		conf_pair(&a[i], &b[i]);
	done = true;
	pthread_join(t, NULL);
	conf_say("strange: %d", strange);
	high = b[PAIRS - 1] + 1;
	if (a[PAIRS - 1] >= high)
		high = a[PAIRS - 1] + 1;
	while (fcntl(high - 1, F_GETFD) < 0)
		high--;
	for (int fd = high; fd < (int)lim.rlim_cur; fd++)
		taken += dup2(0, fd) == fd;
	conf_say("taken: %s", taken == (int)lim.rlim_cur - high ? "all" : "not all");
	conf_trip(a[0], b[0]);
	for (int fd = high; fd < (int)lim.rlim_cur; fd++)
		close(fd);
	f = popen("ulimit -Sn", "r");
	if (f && fgets(line, sizeof(line), f))
		conf_say("told: %s", strtoul(line, NULL, 10) == lim.rlim_cur ? "right" : line);
	if (f)
		pclose(f);
	for (int i = 0; i < PAIRS; i++) {
		close(a[i]);
		close(b[i]);
	}
	conf_pair(&a[0], &b[0]);
	for (high = 0; fcntl(high, F_GETFD) >= 0; high++)
		;
	take_all(high);
	conf_trip(a[0], b[0]);
	return 0;
}
