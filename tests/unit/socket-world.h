/* SPDX-License-Identifier: MIT */
/*
 * Two guests in the test's own process, vm1 and vm2 of an xvmcd of their own,
 * and one connection between them: for the tests of lib/socket.
 */
#ifndef XVMC_TEST_SOCKET_WORLD_H
#define XVMC_TEST_SOCKET_WORLD_H

#include "guests.h"
#include "xvmcd.h"

struct world {
	struct xvmcd_run xvmcd;
	struct xvmc_ctx ctx[2]; /* vm1, vm2 */
	struct guest_pair pair;
	_Atomic bool busy; /* threads use all this: teardown leaves it alone */
};

extern struct world w;

int setup(void **state);
int teardown(void **state);

uint64_t stat_of(int i, unsigned int s);

/* By end i; n bytes, whatever it takes. */
void recv_all(int i, void *buf, size_t n);
bool on_ring(int i);
/* Ping-pong until both ends are there, which is called so. */
void ping_until(bool (*there)(int i), const char *what);

#endif
