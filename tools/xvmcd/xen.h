/* SPDX-License-Identifier: MIT */
/*
 * xvmcd in a Xen guest (--xen) and in dom0 (--dom0), as the rest of xvmcd
 * sees it. d->xen is NULL in local mode, where none of this is called.
 *
 * What is in xenstore, below /local/domain/ID of a guest:
 *   data/xvmc/version   the guest runs xvmcd; by the guest
 *   xvmc/peers/DOMID    "name address...": who else is here; by dom0, and
 *                       only dom0 can write it
 *   xvmc/migrate/DOMID  "number keep" or "number prepare": the toolstack migrates
 *                       that guest, which may be this one; by dom0
 *                       (tools/toolstack)
 *   data/xvmc/prepared-DOMID  that number: all that can be taken down before
 *                       the suspend is; by the guest
 *   data/xvmc/ask-L     a number: the follower wants a channel from guest L
 *   data/xvmc/ctl-F     "ask offer port gref...": the leader's answer to F
 */
#ifndef XVMCD_XEN_H
#define XVMCD_XEN_H

#include "xvmcd.h"

/* Before anything that makes a thread. -ENOENT: no Xen, or no devices. */
int xen_open(struct xvmcd *d);
/* Once the board and the matcher are there: publishes the guest. */
int xen_start(struct xvmcd *d);
/* The guest is published no more. */
void xen_stop(struct xvmcd *d);

/* A process's channel: fd is its descriptor, or -1 when it has closed it. */
int xen_hold(struct agent *agent, uint32_t port, int fd);
void xen_forget(struct agent *agent);

/* A message of a process's. 1: another guest's xvmcd has it; 0: it is for
 * the matcher here; -errno: it makes no sense. */
int route_message(struct agent *agent, const struct xvmc_agent_hdr *hdr);
void route_forget(struct agent *agent);

/* Nothing of ours is in the way of dom's suspend any more, as far as it can be
 * helped: dom0 is told. */
void notice_answer(struct xvmcd *d, const struct xvmc_lh_dom *dom, const char *number);
/* A suspend is waited for no more; called while it still counts as near. */
void notice_over(struct xvmcd *d);

/* dom0's part: says who is here, until it is killed. Returns on failure. */
int dom0_run(void);

#endif
