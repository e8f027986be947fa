/* SPDX-License-Identifier: MIT */
/*
 * For the part mclient: standard input to standard output, as a network of so
 * many kilobytes a second takes it. A migration to the same host is bound by
 * the processor without that, which its guests share.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/util.h"

#define PIECE 16384
/* Who was late, because others had the processor, may make up for so much. */
#define LATE_NS 200000000

int main(int argc, char **argv)
{
	long long kb_s = argc == 2 ? atoll(argv[1]) : 0;
	uint64_t next = now_ns();
	static char buf[PIECE];
	ssize_t n;

	if (kb_s <= 0) {
		fputs("usage: slow-link KILOBYTES-A-SECOND\n", stderr);
		return 2;
	}
	while ((n = read(0, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || write_full(1, buf, (size_t)n) < 0)
			return 1;
		next += (uint64_t)(n * 1000000 / kb_s);
		if (next < now_ns() - LATE_NS)
			next = now_ns() - LATE_NS;
		sleep_until(next);
	}
	return 0;
}
