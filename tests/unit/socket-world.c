/* SPDX-License-Identifier: MIT */
/* See socket-world.h. */
#include "socket-world.h"

struct world w;

int setup(void **state)
{
	static const char *const names[2] = { "vm1", "vm2" };

	(void)state;
	xvmcd_start(&w.xvmcd, NULL);
	for (int i = 0; i < 2; i++)
		guest_make(&w.ctx[i], w.xvmcd.dir, names[i]);
	guest_pair_make(&w.pair, &w.ctx[0], &w.ctx[1]);
	return 0;
}

int teardown(void **state)
{
	(void)state;
	if (w.busy) /* a test has failed: let the process end */
		return 0;
	for (int i = 0; i < 2; i++)
		guest_pair_end(&w.pair, i);
	for (int i = 0; i < 2; i++)
		xvmc_ctx_deinit(&w.ctx[i]);
	xvmcd_stop(&w.xvmcd);
	return 0;
}

uint64_t stat_of(int i, unsigned int s)
{
	return w.ctx[i].stats->value[s];
}
