/* SPDX-License-Identifier: MIT */
/*
 * What xen-pages.c, xen-share.c and xen-map.c know of each other.
 */
#ifndef XVMC_HV_XEN_PAGES_H
#define XVMC_HV_XEN_PAGES_H

#include "xen.h"

#define XEN_PAGE ((size_t)4096)

#define XEN_NO_INDEX UINT64_MAX

struct xen_pages {
	struct xvmc_list node;
	void *addr;
	uint32_t npages;
	/* A share: gntalloc's name for it, while its descriptor holds it too;
	 * XEN_NO_INDEX: the mapping alone does. */
	uint64_t index;
	size_t clear_byte; /* of a mapping, or XVMC_HV_NO_CLEAR */
	bool kept;         /* a mapping's place is taken by memory of our own */
};

static inline struct xen_hv *xen_hv_of(struct xvmc_hv *hv)
{
	return (struct xen_hv *)hv;
}

/* Opens the device if it is not open, or not any more. */
int xen_need_shr(struct xen_hv *xh);
int xen_need_tab(struct xen_hv *xh);

/* Is the descriptor still open on that device? */
bool xen_still(int fd, uint64_t rdev);

/* Remembers them; a child is not to have them. NULL: no memory for that. */
struct xen_pages *xen_pages_new(struct xvmc_list *list, void *addr, size_t npages);

/* hv.h's word for what the devices said. */
int xen_grant_error(int err);

/* xen-share.c, xen-map.c: the end of one. */
void xen_unshare_pages(struct xen_hv *xh, struct xen_pages *p);
void xen_unmap_pages(struct xen_hv *xh, struct xen_pages *p);

#endif
