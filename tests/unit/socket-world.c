/* SPDX-License-Identifier: MIT */
/* See socket-world.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

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

void recv_all(int i, void *buf, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = guest_recv(&w.pair, i, (char *)buf + done, n - done, 0);

		assert_true(r > 0);
		done += (size_t)r;
	}
}

bool on_ring(int i)
{
	return guest_on_ring(&w.pair, i);
}

void ping_until(bool (*there)(int), const char *what)
{
	uint64_t end = os_now_ns() + 10000000000u;
	char ping[16] = "ping", pong[16];

	while (!there(0) || !there(1)) {
		for (int i = 0; i < 2; i++) {
			guest_send(&w.pair, i, ping, sizeof(ping));
			recv_all(!i, pong, sizeof(pong));
			assert_memory_equal(ping, pong, sizeof(ping));
		}
		if (os_now_ns() > end)
			fail_msg("never %s", what);
	}
}
