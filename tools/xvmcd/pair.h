/* SPDX-License-Identifier: MIT */
/*
 * The matcher's inside: registrations, the pairs of addresses they hang on,
 * and the links between two of them. match.c puts what processes say on top.
 *
 * pair ---- side[0]: reg, reg ...   local address a, remote b
 *      \--- side[1]: reg, reg ...   local address b, remote a
 * link: joins one reg of each side
 */
#ifndef XVMCD_PAIR_H
#define XVMCD_PAIR_H

#include "match.h"

#define PAIR_SIDE_MAX 32u   /* registrations of one tuple; more are refused */
#define REGS_MAX 65536u     /* of all processes */

struct pair {
	struct xvmc_list hash;
	struct matcher *matcher;
	struct xvmc_ag_addr a, b; /* a < b */
	struct xvmc_list side[2];
	uint32_t n[2];
	struct timer retry;
	uint64_t not_before; /* ns */
	uint64_t backoff;    /* ns, the last one */
};

struct link {
	struct xvmc_list hash;
	uint64_t id;
	struct reg *end[2];
	uint64_t born;
};

struct reg {
	struct xvmc_list hash;     /* by agent and epid */
	struct xvmc_list by_agent; /* of agent->regs */
	struct xvmc_list by_side;  /* of pair->side[side] */
	struct agent *agent;
	struct pair *pair;
	uint32_t side;
	uint32_t epid;
	struct link *link;
	uint64_t claim; /* a link of an earlier xvmcd's time, or 0 */
	uint32_t pages_max; /* as REGISTER said it */
	uint32_t pinned; /* enum xvmc_reason that keeps it on TCP, or 0 */
	uint32_t told;   /* why it is not matched, as it was told, or 0 */
};

#define PAIR_BUCKETS 16384u

struct matcher {
	struct xvmcd *d;
	uint32_t nregs;
	struct xvmc_list pairs[PAIR_BUCKETS];
	struct xvmc_list links[PAIR_BUCKETS];
	struct xvmc_list regs[PAIR_BUCKETS];
	struct xvmc_list adopts; /* match.c */
};

/* Makes a registration and hangs it on its pair. -ENOMEM; -EMLINK: that
 * tuple has too many already. */
int reg_new(struct matcher *m, struct agent *agent, uint32_t epid,
	    const struct xvmc_ag_addr *local, const struct xvmc_ag_addr *remote,
	    struct reg **ret_reg);

/* Its link must have ended. Frees the pair too when it was the last. */
void reg_free(struct matcher *m, struct reg *reg);
struct reg *reg_find(struct matcher *m, const struct agent *agent,
		     uint32_t epid);

struct link *link_find(struct matcher *m, uint64_t id);
struct reg *link_other(const struct link *link, const struct reg *reg);

/* Ends a link. by: the end that said so, which is not told; NULL: both are
 * told, each its reason by reasons[]. */
void link_end(struct matcher *m, struct link *link, const struct reg *by,
	      const uint32_t reasons[2]);

/* Whatever now can be matched is. */
void pair_resolve(struct pair *pair);

#endif
