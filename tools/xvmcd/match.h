/* SPDX-License-Identifier: MIT */
/*
 * Which two registered connections are the two ends of one: the matcher.
 * It keeps every registration by its pair of addresses, and the links it has
 * made. It never looks at what is relayed over a link.
 *
 * Two ends are one connection if their addresses mirror each other and
 * nothing else could be meant: the same network namespace proves it; across
 * namespaces it takes addresses that one namespace alone claims, and the ends
 * are told to be strict.
 */
#ifndef XVMCD_MATCH_H
#define XVMCD_MATCH_H

#include "xvmcd.h"

int match_new(struct xvmcd *d, struct matcher **ret_matcher);

/* ---- what processes say ---- */

/* 0 or -EPROTO. */
int match_register(struct agent *agent, const struct xvmc_ag_register *msg);
void match_unregister(struct agent *agent, const struct xvmc_ag_word *msg);
void match_relay(struct agent *agent, const struct xvmc_ag_relay *msg);
void match_unlink(struct agent *agent, const struct xvmc_ag_word *msg);
void match_adopt(struct agent *agent, const struct xvmc_ag_adopt *msg);

/* The process has ended, for reason. */
void match_forget(struct agent *agent, uint32_t reason);

/* ---- what happens to domains ---- */

/* Looks again at all unmatched connections of a domain: it has come to
 * another host, or may be used again. */
void match_again(struct xvmcd *d, const struct xvmc_lh_dom *dom);

/* The domain has left: all its links end, with MIGRATE_SELF for its own ends
 * and MIGRATE_PEER for the others'. */
void match_moved(struct xvmcd *d, const struct xvmc_lh_dom *dom);

/* Whether a process has a link with an end in the domain. */
bool match_touches(const struct agent *agent, const struct xvmc_lh_dom *dom);

/* ---- what tools ask ---- */

/* Promote: what was pinned to TCP may be matched again. Demote: it may not.
 * epid 0: all of the process's. */
void match_steer(struct agent *agent, uint32_t epid, uint32_t to);

uint32_t match_count_links(const struct agent *agent);

#endif
