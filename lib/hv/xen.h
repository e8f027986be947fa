/* SPDX-License-Identifier: MIT */
/*
 * The inside of the xen backend: what xen.c (open, identity),
 * xen-pages.c, xen-share.c and xen-map.c (grants), xen-chan.c (event channels) and xen-cpuid.c (what
 * CPUID tells) share.
 * Includes nothing of libxen's, so that the two functions the Event Manager
 * needs can be called from there.
 */
#ifndef XVMC_HV_XEN_H
#define XVMC_HV_XEN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "hv.h"

/* What CPUID says about the Xen below us. */
struct xen_cpuid {
	uint32_t base;  /* of Xen's leaves; 0: no x86, or hidden */
	bool has_domid; /* PVH, HVM */
};

/* Looks for Xen's leaves. False: no Xen to be seen. */
bool xen_cpuid_find(struct xen_cpuid *ret_cpuid);

/* +1 with each restore or migration, from the first instruction on [X 7].
 * 0 where CPUID says nothing. No system call, signal-safe. */
uint32_t xen_cpuid_incarnation(const struct xen_cpuid *cpuid);

/* Only where has_domid. */
uint32_t xen_cpuid_domid(const struct xen_cpuid *cpuid);

struct xengntdev_handle; /* libxengnttab's, for both directions */
struct xs_handle;        /* libxenstore's */

struct xen_hv {
	struct xvmc_hv hv; /* first */
	struct xen_cpuid cpuid;
	bool pv; /* a PV guest: may map nothing [X 2] */
	struct xengntdev_handle *tab, *shr;
	uint64_t tab_rdev, shr_rdev; /* which devices those are open on */
	struct xs_handle *xs;        /* NULL where CPUID has the domid */
	struct xvmc_list shares, maps, chans;
	xvmc_hv_hold hold; /* or NULL */
	void *hold_arg;
};

/* Without a logger of ours libxen's functions print on standard error. */
struct xentoollog_logger;
extern struct xentoollog_logger xen_silent;

/* xen-share.c, xen-map.c: the operations. */
int xen_share(struct xvmc_hv *hv, xvmc_domid_t peer, size_t npages,
	      bool writable, struct xvmc_share *ret_share,
	      xvmc_gref_t *ret_grefs);
void xen_unshare(struct xvmc_hv *hv, struct xvmc_share *share);
int xen_map(struct xvmc_hv *hv, xvmc_domid_t peer, const xvmc_gref_t *grefs,
	    size_t ngrefs, bool writable, size_t clear_byte,
	    struct xvmc_map *ret_map);
void xen_unmap(struct xvmc_hv *hv, struct xvmc_map *map);
int xen_owner_clear(struct xvmc_hv *hv, struct xvmc_share *share, size_t byte);
int xen_keep_share(struct xvmc_hv *hv, struct xvmc_share *share, void *with);
int xen_keep_map(struct xvmc_hv *hv, struct xvmc_map *map, void *with);
int xen_copy(struct xvmc_hv *hv, xvmc_domid_t peer, xvmc_gref_t gref, size_t at,
	     void *ret_buf, size_t len);

/* xen-pages.c: what belongs to the handle. */
int xen_pages_open(struct xen_hv *xh);
void xen_pages_close(struct xen_hv *xh);
void xen_pages_abandon(struct xen_hv *xh);

/* xen-chan.c: the operations, and the rest of close and abandon. */
int xen_chan_alloc(struct xvmc_hv *hv, xvmc_domid_t peer,
		   struct xvmc_chan *ret_chan);
int xen_chan_bind(struct xvmc_hv *hv, xvmc_domid_t peer, xvmc_port_t peer_port,
		  struct xvmc_chan *ret_chan);
void xen_chan_close(struct xvmc_hv *hv, struct xvmc_chan *chan);
void xen_chan_hush(struct xvmc_hv *hv, struct xvmc_chan *chan);
int xen_chan_notify(struct xvmc_hv *hv, struct xvmc_chan *chan);
void xen_chan_close_all(struct xen_hv *xh);
void xen_chan_abandon_all(struct xen_hv *xh);

/* Takes what is pending and unmasks the port: until then the kernel delivers
 * nothing more. */
void xen_chan_ack(struct xvmc_hv *hv, struct xvmc_chan *chan);

#endif
