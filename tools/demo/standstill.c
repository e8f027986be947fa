/* SPDX-License-Identifier: MIT */
/*
 * xvmc-standstill: when did the machine itself stand still? Before a gap in a
 * stream counts as the stream's, it has to be known that the processors ran: those
 * of a virtual machine do not always. One thread on each, which wakes every 2 ms
 * and does nothing, tells it by its being late.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "base/prompt.h"
#include "bench/util.h"
#include "xvmc/cli.h"

#define PROG "xvmc-standstill"
#define NS_PER_MS 1000000u
#define EVERY_NS (2u * NS_PER_MS)

struct watch {
	pthread_t thread;
	unsigned int cpu;
	uint64_t over_ns, end_ns;
};

static void *watch_main(void *arg)
{
	const struct watch *w = arg;
	uint64_t due, now = os_now_ns();
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(w->cpu, &one);
	if (pthread_setaffinity_np(pthread_self(), sizeof(one), &one) != 0)
		return NULL; /* not ours to run on */
	xvmc_prompt();
	while (now < w->end_ns) {
		due = now + EVERY_NS;
		sleep_until(due);
		now = os_now_ns();
		if (now - due > w->over_ns)
			printf("%.3f,%.3f,%u\n", (double)due / NS_PER_MS,
			       (double)now / NS_PER_MS, w->cpu);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	uint32_t seconds = 60, over_ms = 20;
	const struct cli_opt opts[] = {
		{ "seconds", 0, CLI_U32, "N", "how long (60)", &seconds, 1, 1000000 },
		{ "over-ms", 0, CLI_U32, "N", "what is longer than this (20)", &over_ms, 1, 60000 },
		{ 0 },
	};
	const struct cli cli = {
		PROG, "",
		"Prints 'from_ms,to_ms,cpu', of CLOCK_MONOTONIC, for each time in which a\n"
		"processor ran nothing, as far as a thread can tell that only sleeps there.",
		opts, 0, 0, false,
	};
	unsigned int n = (unsigned int)xvmc_os_ncpu(), started = 0;
	uint64_t end_ns = os_now_ns();
	struct watch *watches;
	char *args[argc + 1];
	int rc = 0;

	cli_parse(&cli, argc, argv, args);
	setvbuf(stdout, NULL, _IOLBF, 0);
	end_ns += seconds * UINT64_C(1000000000);
	watches = calloc(n, sizeof(*watches));
	if (!watches)
		cli_die(PROG, CLI_EXIT_FAILED, "out of memory");
	for (; started < n && rc == 0; started += rc == 0) {
		struct watch *w = &watches[started];

		*w = (struct watch){ .cpu = started, .over_ns = over_ms * (uint64_t)NS_PER_MS,
				     .end_ns = end_ns };
		rc = pthread_create(&w->thread, NULL, watch_main, w);
	}
	if (rc != 0)
		cli_die(PROG, CLI_EXIT_FAILED, "no thread: %s", strerror(rc));
	for (unsigned int i = 0; i < n; i++)
		pthread_join(watches[i].thread, NULL);
	free(watches);
	return 0;
}
