/* SPDX-License-Identifier: MIT */
/*
 * A peer's pages: mapped by gntdev, through libxengnttab, or copied by the
 * hypervisor. Threads, fork, exec, migration: as xen-pages.c says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <xengnttab.h>

#include <xen/gntdev.h> /* the kernel's; needs the types of xengnttab.h */

#include "base/os.h"
#include "xen-pages.h"

/* gntdev's name for a mapping. */
static int offset_of(struct xen_hv *xh, void *addr, uint64_t *ret_offset)
{
	struct ioctl_gntdev_get_offset_for_vaddr where = {
		.vaddr = (uintptr_t)addr,
	};
	int rc = os_ioctl(xengnttab_fd(xh->tab), IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &where);

	if (rc == 0)
		*ret_offset = where.offset;
	return rc;
}

/* libxengnttab offers the notification for mappings of a single page only,
 * so it is asked for here, for any. The kernel clears the byte on munmap, on
 * exit and on SIGKILL [X 1]. SEND_EVENT is not used: it has the flaw of
 * stale channels. */
static int clear_on_unmap(struct xen_hv *xh, uint64_t offset, size_t byte, bool on)
{
	struct ioctl_gntdev_unmap_notify notify = {
		.index = offset + byte,
		.action = on ? UNMAP_NOTIFY_CLEAR_BYTE : 0,
	};

	return os_ioctl(xengnttab_fd(xh->tab), IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &notify);
}

static int map_pages(struct xen_hv *xh, xvmc_domid_t peer,
		     const xvmc_gref_t *grefs, size_t ngrefs, bool writable,
		     size_t clear_byte, void **ret_addr)
{
	int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ, rc;
	uint64_t offset;
	void *addr;

	/* It only reads the references. */
	addr = xengnttab_map_domain_grant_refs(xh->tab, (uint32_t)ngrefs, peer,
					       (uint32_t *)(uintptr_t)grefs,
					       prot);
	if (!addr)
		return xen_grant_error(errno);
	if (clear_byte != XVMC_HV_NO_CLEAR) {
		rc = offset_of(xh, addr, &offset);
		if (rc == 0)
			rc = clear_on_unmap(xh, offset, clear_byte, true);
		if (rc < 0) {
			xengnttab_unmap(xh->tab, addr, (uint32_t)ngrefs);
			return rc;
		}
	}
	*ret_addr = addr;
	return 0;
}

static bool is_own(struct xen_hv *xh, xvmc_domid_t peer)
{
	struct xvmc_hv_self self;

	return xvmc_hv_self(&xh->hv, &self) < 0 || self.domid == peer;
}

int xen_map(struct xvmc_hv *hv, xvmc_domid_t peer, const xvmc_gref_t *grefs,
	    size_t ngrefs, bool writable, size_t clear_byte,
	    struct xvmc_map *ret_map)
{
	struct xen_hv *xh = xen_hv_of(hv);
	int keep = errno, rc;
	struct xen_pages *p;
	void *addr = NULL;

	/* A PV guest that is suspended with a mapping loses 2 MiB of its own
	 * address space [X 2]: it only sends by ring. And a PVH guest that maps
	 * a page of its own loses the page: in its physical memory a frame has
	 * one place. Seen in the lab: what was there reads as 0xFF, and the
	 * guest's kernel dies of it later. */
	if (xh->pv || is_own(xh, peer))
		return -EACCES;
	if (clear_byte != XVMC_HV_NO_CLEAR &&
	    (!writable || clear_byte >= ngrefs * XEN_PAGE))
		return -EINVAL;
	rc = xen_need_tab(xh);
	if (rc == 0)
		rc = map_pages(xh, peer, grefs, ngrefs, writable, clear_byte,
			       &addr);
	if (rc < 0)
		goto out;
	p = xen_pages_new(&xh->maps, addr, ngrefs);
	if (!p) {
		xengnttab_unmap(xh->tab, addr, (uint32_t)ngrefs);
		rc = -ENOSPC;
		goto out;
	}
	p->clear_byte = clear_byte;
	ret_map->addr = addr;
	ret_map->npages = ngrefs;
	ret_map->writable = writable;
	ret_map->priv = p;
out:
	errno = keep;
	return rc;
}

/* After a migration this costs a kernel warning a page, nothing worse [X 3].
 * Where the descriptor is not the device any more, the kernel still undoes
 * everything when the mapping goes. */
void xen_unmap_pages(struct xen_hv *xh, struct xen_pages *p)
{
	int keep = errno;

	xvmc_list_del(&p->node);
	if (p->kept || !xh->tab || !xen_still(xengnttab_fd(xh->tab), xh->tab_rdev) ||
	    xengnttab_unmap(xh->tab, p->addr, p->npages) != 0)
		OS2(SYS_munmap, p->addr, p->npages * XEN_PAGE);
	free(p);
	errno = keep;
}

void xen_unmap(struct xvmc_hv *hv, struct xvmc_map *map)
{
	if (!map->priv)
		return;
	xen_unmap_pages(xen_hv_of(hv), map->priv);
	memset(map, 0, sizeof(*map));
}

/*
 * Also of a page that this guest has granted to itself, which it must not map. The
 * kernel pins where the bytes go; nothing is left of it afterwards [X 2].
 */
int xen_copy(struct xvmc_hv *hv, xvmc_domid_t peer, xvmc_gref_t gref, size_t at,
	     void *ret_buf, size_t len)
{
	struct xen_hv *xh = xen_hv_of(hv);
	xengnttab_grant_copy_segment_t seg = {
		.source.foreign = { .ref = gref,
				    .offset = (uint16_t)at,
				    .domid = (uint16_t)peer },
		.dest.virt = ret_buf,
		.len = (uint16_t)len,
		.flags = GNTCOPY_source_gref,
	};
	int keep = errno, rc;

	if (peer > UINT16_MAX)
		return -ENOENT;
	rc = xen_need_tab(xh);
	if (rc == 0 && xengnttab_grant_copy(xh->tab, 1, &seg) != 0)
		rc = xen_grant_error(errno);
	if (rc == 0 && seg.status != GNTST_okay)
		rc = -EACCES;
	errno = keep;
	return rc;
}

/*
 * As libxengnttab unmaps, but that the mapping's place is taken rather than left
 * empty; and the byte is not cleared. Where the descriptor is not the device any
 * more the kernel cannot be told so: the mapping stays until its end.
 */
int xen_keep_map(struct xvmc_hv *hv, struct xvmc_map *map, void *with)
{
	struct ioctl_gntdev_unmap_grant_ref op = { 0 };
	struct xen_hv *xh = xen_hv_of(hv);
	struct xen_pages *p = map->priv;
	bool clears = p->clear_byte != XVMC_HV_NO_CLEAR;
	uint64_t offset = 0;
	int rc;

	if (p->kept)
		return xvmc_hv_replace(p->addr, with, p->npages);
	if (!xh->tab || !xen_still(xengnttab_fd(xh->tab), xh->tab_rdev))
		return -EIO;
	rc = offset_of(xh, p->addr, &offset);
	if (rc == 0 && clears)
		rc = clear_on_unmap(xh, offset, p->clear_byte, false);
	if (rc < 0)
		return rc;
	rc = xvmc_hv_replace(p->addr, with, p->npages);
	if (rc < 0) {
		if (clears)
			clear_on_unmap(xh, offset, p->clear_byte, true);
		return rc;
	}
	p->kept = true;
	op.index = offset;
	op.count = p->npages;
	os_ioctl(xengnttab_fd(xh->tab), IOCTL_GNTDEV_UNMAP_GRANT_REF, &op);
	return 0;
}
