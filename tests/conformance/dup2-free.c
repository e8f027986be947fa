/* SPDX-License-Identifier: MIT */
/* What dup2 puts under a number that was free stays there, while connections
 * get their rings. */
#include <sys/stat.h>

#include "conf.h"

#define ROUNDS 60
#define NUMBERS 4

static bool same(int fd, const struct stat *want)
{
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_ino == want->st_ino && st.st_dev == want->st_dev;
}

/* Puts fd under the lowest free numbers, which are those the kernel gives to
 * what is opened next, looks for a moment, and takes it away. Returns how often
 * something else was there. */
static int put(int fd, int lowest)
{
	struct stat st;
	int lost = 0;

	if (fstat(fd, &st) < 0)
		conf_die("fstat");
	for (int n = lowest; n < lowest + NUMBERS; n++)
		if (dup2(fd, n) != n)
			conf_die("dup2");
	for (int look = 0; look < 10; look++)
		for (int n = lowest; n < lowest + NUMBERS; n++)
			lost += !same(n, &st);
	for (int n = lowest; n < lowest + NUMBERS; n++)
		close(n);
	return lost;
}

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), p[2], lost = 0;
	char buf[64] = "";

	alarm(60);
	if (pipe(p) < 0)
		conf_die("pipe");
	for (int i = 0; i < ROUNDS; i++) {
		int a = conf_connect(&sa), b = accept(lfd, NULL, NULL);
		int lowest = (a > b ? a : b) + 1;
		double start = conf_now();

		/* Worth a ring by now: it comes while the numbers are used. */
		for (int trip = 0; trip < CONF_WARM_TRIPS; trip++) {
			conf_put(a, buf, sizeof(buf));
			conf_get(b, buf, sizeof(buf));
			conf_put(b, buf, sizeof(buf));
			conf_get(a, buf, sizeof(buf));
		}
		while (!conf_on_ring(a) && conf_now() - start < 0.02)
			lost += put(p[0], lowest);
		lost += put(p[0], lowest);
		conf_put(a, buf, sizeof(buf));
		conf_get(b, buf, sizeof(buf));
		close(a);
		close(b);
	}
	conf_say("lost: %s", lost ? "some" : "none");
	return 0;
}
