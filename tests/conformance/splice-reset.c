/* SPDX-License-Identifier: MIT */
/* A splice out of a connection that was reset: what came before, if that was
 * not read, and then the error, once. */
#include "conf.h"

#define ROUNDS 10

static long into_pipe(int fd)
{
	int p[2];
	long r;

	if (pipe(p) < 0)
		conf_die("pipe");
	r = splice(fd, NULL, p[1], NULL, 1000, 0);
	close(p[0]);
	close(p[1]);
	return r;
}

int main(void)
{
	int told = 0, ends = 0;

	for (int i = 0; i < ROUNDS; i++) {
		char buf[100] = "";
		int a, b;

		conf_pair(&a, &b);
		conf_put(b, buf, sizeof(buf));
		conf_reset(b);
		conf_ms(5); /* whoever is to hear of it has */
		conf_get(a, buf, sizeof(buf));
		told += into_pipe(a) == -1 && errno == ECONNRESET;
		ends += into_pipe(a) == 0;
		close(a);
	}
	conf_say("told: %s, then the end: %s", told == ROUNDS ? "all" : "not all",
		 ends == ROUNDS ? "all" : "not all");
	return 0;
}
