/* SPDX-License-Identifier: MIT */
/*
 * For the part mclient: standard input to standard output, as a network of so
 * many kilobytes a second takes it. A migration to the same host is bound by
 * the processor without that, which its guests share.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PIECE 16384
/* Who was late, because others had the processor, may make up for so much. */
#define LATE_NS 200000000

static int64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void sleep_until(int64_t ns)
{
	struct timespec ts = { ns / 1000000000, ns % 1000000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static bool put(const char *buf, ssize_t len)
{
	while (len > 0) {
		ssize_t n = write(1, buf, (size_t)len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		buf += n;
		len -= n;
	}
	return true;
}

int main(int argc, char **argv)
{
	int64_t kb_s = argc == 2 ? atoll(argv[1]) : 0, next = now_ns();
	static char buf[PIECE];
	ssize_t n;

	if (kb_s <= 0) {
		fputs("usage: slow-link KILOBYTES-A-SECOND\n", stderr);
		return 2;
	}
	while ((n = read(0, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || !put(buf, n))
			return 1;
		next += n * 1000000 / kb_s;
		if (next < now_ns() - LATE_NS)
			next = now_ns() - LATE_NS;
		sleep_until(next);
	}
	return 0;
}
