/* SPDX-License-Identifier: MIT */
/*
 * The control channel between the xvmcd of two guests: whole frames, both
 * ways, over pages that the leader (the lower domid) shares, with an event
 * channel as the bell. What a frame says is peer.c's business; where the
 * pages are is said over xenstore, by xen.c.
 *
 * Nothing the other side writes is trusted: indices are read once and
 * checked, and nonsense ends the channel, not us.
 */
#ifndef XVMCD_CTL_H
#define XVMCD_CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/hv.h"

#define CTL_DIR_PAGES 4u
#define CTL_PAGES (1u + 2u * CTL_DIR_PAGES)
#define CTL_BODY_MAX 2048u

struct ctl;

/* The leader's side: ret_grefs has room for CTL_PAGES. */
int ctl_share(struct xvmc_hv *hv, uint32_t peer, struct ctl **ret_ctl,
	      uint32_t *ret_grefs, uint32_t *ret_port);
/* The follower's. */
int ctl_map(struct xvmc_hv *hv, uint32_t peer, const uint32_t *grefs,
	    uint32_t port, struct ctl **ret_ctl);
void ctl_free(struct ctl *ctl); /* NULL: no-op */

/* Readable when the other side has rung. */
int ctl_fd(const struct ctl *ctl);

/* Queued where there is no room. -ENOBUFS: the other side does not read. */
int ctl_send(struct ctl *ctl, uint32_t agent, const void *body, size_t len);

/* After a bell, before ctl_recv; sends what was queued. */
void ctl_ack(struct ctl *ctl);
/* 1: a frame; 0: none left; -EPROTO: nonsense, end it. */
int ctl_recv(struct ctl *ctl, uint32_t *ret_agent, void *ret_body, size_t *ret_len);

#endif
