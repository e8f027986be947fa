/* SPDX-License-Identifier: MIT */
/*
 * Time, chance and memory as lib/ sees them in the simulation. lib/ is
 * compiled with clock_gettime and malloc renamed, and this file takes the
 * place of lib/base/os.c.
 */
#undef malloc
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "sim.h"


static struct sim *now_running;

void sim_os_set(struct sim *s)
{
	now_running = s;
}

int sim_clock_gettime(clockid_t clock, struct timespec *ret_ts);
int sim_clock_gettime(clockid_t clock, struct timespec *ret_ts)
{
	ret_ts->tv_sec = (time_t)(now_running->now / 1000000000u);
	ret_ts->tv_nsec = (long)(now_running->now % 1000000000u);
	return 0;
}

void *sim_malloc(size_t n);
void *sim_malloc(size_t n)
{
	if (now_running && now_running->no_memory &&
	    --now_running->no_memory == 0) {
		sim_count(now_running, SIM_C_NO_MEMORY);
		return NULL;
	}
	return malloc(n);
}

/* getrandom. The first byte is one that no application sends (check.c): else
 * a run in some thousands would take application bytes for the beginning of
 * a record until more arrive. tests/unit/test-conn-read.c looks at that. */
long xvmc_os_call(long nr, long a, long b, long c, long d, long e, long f);
long xvmc_os_call(long nr, long a, long b, long c, long d, long e, long f)
{
	uint8_t *buf = (uint8_t *)(uintptr_t)a;
	struct sim *s = now_running;

	if (nr != SYS_getrandom)
		abort();
	if (++s->hv.allocs == s->hv.fail_at) {
		s->hv.failed++;
		return -EIO;
	}
	for (long i = 0; i < b; i++)
		buf[i] = (uint8_t)sim_rand(&s->rng);
	buf[0] = 0xa5;
	return b;
}
