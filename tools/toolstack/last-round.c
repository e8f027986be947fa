/* SPDX-License-Identifier: MIT */
/*
 * One round more than xl wants.
 */
#include "last-round.h"

/* libxenguest's own, for who brings no policy. */
#define ROUNDS_MAX 5u
#define FEW_PAGES 50

static int decision_of_xl(const struct last_round *round, struct precopy_stats stats)
{
	if (round->policy)
		return round->policy(stats, round->policy_data);
	if ((stats.dirty_count >= 0 && stats.dirty_count < FEW_PAGES) ||
	    stats.iteration >= ROUNDS_MAX)
		return XGS_POLICY_STOP_AND_COPY;
	return XGS_POLICY_CONTINUE_PRECOPY;
}

int last_round_decide(struct last_round *round, struct precopy_stats stats)
{
	bool had_left = round->left;
	int decision = decision_of_xl(round, stats);

	if (decision == XGS_POLICY_ABORT)
		return decision;
	if (decision == XGS_POLICY_STOP_AND_COPY)
		last_round_end(round);
	/* The pages of this round were counted before that, or are not yet. */
	if (!had_left || stats.dirty_count < 0)
		return XGS_POLICY_CONTINUE_PRECOPY;
	return XGS_POLICY_STOP_AND_COPY; /* after this round, which has them */
}

void last_round_end(struct last_round *round)
{
	if (round->left)
		return;
	round->left = true;
	round->leave(round->arg);
}
