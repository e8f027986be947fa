/* SPDX-License-Identifier: MIT */
/*
 * When in pre-copy the guests leave their rings [S 6] [S 7]: as late as can be,
 * but not so late that what this writes into the moving guest's memory is copied
 * while it stands still. That is what was unread in every ring, which comes by
 * TCP now. So: when xl would stop, they leave, and one more round is copied.
 *
 * Threads: one.
 */
#ifndef XVMC_TOOLSTACK_LAST_ROUND_H
#define XVMC_TOOLSTACK_LAST_ROUND_H

#include <stdbool.h>

#include <xenctrl.h>
#include <xenguest.h>

struct last_round {
	precopy_policy_t policy; /* xl's; NULL: libxenguest's own */
	void *policy_data;
	void (*leave)(void *arg); /* returns when they have */
	void *arg;
	bool left;
};

/* In place of xl's policy; libxenguest asks before each round, and after it with
 * an unknown number of pages. */
int last_round_decide(struct last_round *round, struct precopy_stats stats);

/* Right before the suspend: if nothing was asked until then, they leave now. */
void last_round_end(struct last_round *round);

#endif
