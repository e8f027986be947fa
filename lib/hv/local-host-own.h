/* SPDX-License-Identifier: MIT */
/*
 * What local-host.c (hosts and domains) and local-host-calls.c (what processes
 * ask for) share of the pretended machine.
 */
#ifndef XVMC_HV_LOCAL_HOST_OWN_H
#define XVMC_HV_LOCAL_HOST_OWN_H

#include "local-host.h"

#define LH_BUCKETS 4096u
#define LH_HOSTS_MAX 256u

/* What has a number; see local-host-calls.c. */
enum kind { GRANT,
	    MAP,
	    PORT,
	    KINDS };

struct xvmc_lh {
	struct xvmc_lh_limits limits;
	struct xvmc_list doms; /* the longest unused first */
	struct xvmc_lh_dom *slot[XVMC_BOARD_DOMS];
	char host[LH_HOSTS_MAX][XVMC_NAME_MAX];
	uint32_t nhosts;
	uint32_t next_domid;
	uint32_t next[KINDS];
	uint32_t ngrants; /* never more than there are numbers */
	struct xvmc_list bucket[LH_BUCKETS];
};

/* All that a process has made. clear: say so in the bytes that it asked to be
 * cleared when it ends. */
void lh_client_drop(struct xvmc_lh *lh, struct xvmc_lh_client *client, bool clear);

#endif
