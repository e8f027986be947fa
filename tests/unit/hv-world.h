/* SPDX-License-Identifier: MIT */
/*
 * Two handles of a hypervisor backend, for the tests of lib/hv: guests vm1 and
 * vm2 of an xvmcd of their own, or with Xen this guest and another one.
 */
#ifndef XVMC_TEST_HV_WORLD_H
#define XVMC_TEST_HV_WORLD_H

#include "fresh.h"
#include "hv-peer.h"
#include "hv/hv.h"
#include "xvmcd.h"

#define PAGE 4096u

struct world {
	bool xen;
	struct fresh_marks marks;
	struct xvmcd_run run;
	struct xvmc_hv *hv[2]; /* with Xen the second is NULL: it is elsewhere */
	struct peer peer;      /* the second, for tests of both backends */
	uint32_t domid[2];
	int daemon_fds;
};

#define L(name) cmocka_unit_test_setup_teardown(name, setup_local, teardown)

int setup_local(void **state);
int setup_xen(void **state);
int teardown(void **state);

struct xvmc_hv *open_local(const struct world *w, const char *domain);

/* Asks both who they are: domid[]. */
void look_who(struct world *w);

/* vm1 shares with vm2; vm2 maps it; a channel between the two. */
void share(struct world *w, size_t npages, bool writable,
	   struct xvmc_share *ret_share, xvmc_gref_t *ret_grefs);
int try_map(struct world *w, const xvmc_gref_t *grefs, size_t n, bool writable,
	    struct xvmc_map *ret_map);
void channel(struct world *w, struct xvmc_chan *ret_a, struct xvmc_chan *ret_b);

/* The same with the peer, wherever it is. */
void peer_channel(struct world *w, struct xvmc_chan *ret_a);

/* The first guest's handle once more, in another process. */
int open_local_again(const struct world *w, struct world *ret_own);

bool readable(int fd, int ms);

/* A call of handle i, so that what it told before has been handled. */
void sync_hv(struct world *w, int i);

/* Serves a handle until it has reached a new xvmcd. */
void reach_again(struct xvmc_hv *hv);

#endif
