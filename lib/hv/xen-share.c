/* SPDX-License-Identifier: MIT */
/*
 * Pages of ours that a peer may map: gntalloc's, through libxengnttab's handle
 * of it. Threads, fork, exec, migration: as xen-pages.c says.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <xengnttab.h>

#include <xen/gntalloc.h> /* the kernel's; needs the types of xengnttab.h */

#include "base/os.h"
#include "xen-pages.h"

/*
 * libxengnttab's xengntshr_share_pages() would do, but it keeps for itself the
 * number that gntalloc gave the pages, and xen_owner_clear() needs it. So the
 * kernel is asked here; the handle is the library's.
 */
static int alloc_grefs(int fd, xvmc_domid_t peer, size_t npages, bool writable,
		       uint64_t *ret_index, xvmc_gref_t *ret_grefs)
{
	struct ioctl_gntalloc_alloc_gref *op;
	int rc;

	op = calloc(1, sizeof(*op) + npages * sizeof(op->gref_ids[0]));
	if (!op)
		return -ENOSPC;
	op->domid = (uint16_t)peer;
	op->flags = writable ? GNTALLOC_FLAG_WRITABLE : 0;
	op->count = (uint32_t)npages;
	rc = os_ioctl(fd, IOCTL_GNTALLOC_ALLOC_GREF, op);
	if (rc == 0) {
		*ret_index = op->index;
		for (size_t i = 0; i < npages; i++)
			ret_grefs[i] = op->gref_ids[i];
	}
	free(op);
	return rc;
}

static void dealloc_grefs(int fd, uint64_t index, uint32_t npages)
{
	struct ioctl_gntalloc_dealloc_gref op = { .index = index, .count = npages };

	os_ioctl(fd, IOCTL_GNTALLOC_DEALLOC_GREF, &op);
}

int xen_share(struct xvmc_hv *hv, xvmc_domid_t peer, size_t npages,
	      bool writable, struct xvmc_share *ret_share,
	      xvmc_gref_t *ret_grefs)
{
	struct xen_hv *xh = xen_hv_of(hv);
	int keep = errno, rc, fd;
	struct xen_pages *p;
	uint64_t index = XEN_NO_INDEX;
	void *addr;

	if (peer > UINT16_MAX)
		return -ENOENT;
	rc = xen_need_shr(xh);
	if (rc < 0)
		goto out;
	fd = xengntshr_fd(xh->shr);
	rc = alloc_grefs(fd, peer, npages, writable, &index, ret_grefs);
	if (rc < 0) {
		rc = xen_grant_error(-rc) == -EMFILE ? -EMFILE : -ENOSPC;
		goto out;
	}
	/* The pages come zeroed and are mapped at once. */
	addr = mmap(NULL, npages * XEN_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    (off_t)index);
	p = addr == MAP_FAILED ? NULL : xen_pages_new(&xh->shares, addr, npages);
	if (!p) {
		if (addr != MAP_FAILED)
			OS2(SYS_munmap, addr, npages * XEN_PAGE);
		dealloc_grefs(fd, index, (uint32_t)npages);
		rc = -ENOSPC;
		goto out;
	}
	p->index = index;
	ret_share->addr = addr;
	ret_share->npages = npages;
	ret_share->writable = writable;
	ret_share->priv = p;
out:
	errno = keep;
	return rc;
}

/* gntalloc forgets the descriptor's part in a share; the mapping's stays. */
static void let_go(struct xen_hv *xh, struct xen_pages *p)
{
	if (p->index != XEN_NO_INDEX && xh->shr &&
	    xen_still(xengntshr_fd(xh->shr), xh->shr_rdev))
		dealloc_grefs(xengntshr_fd(xh->shr), p->index, p->npages);
	p->index = XEN_NO_INDEX;
}

/*
 * The kernel clears the byte when nobody holds the page any more: neither the
 * mapping, which goes with the process, nor the descriptor, which a forked
 * child may have. So the latter is made to let go of it. After a migration of
 * ours the byte that is cleared is in our own copy, which no peer sees.
 */
int xen_owner_clear(struct xvmc_hv *hv, struct xvmc_share *share, size_t byte)
{
	struct xen_hv *xh = xen_hv_of(hv);
	struct xen_pages *p = share->priv;
	struct ioctl_gntalloc_unmap_notify op = { .action = UNMAP_NOTIFY_CLEAR_BYTE };
	int rc;

	if (!p || !share->writable || byte >= share->npages * XEN_PAGE || p->index == XEN_NO_INDEX)
		return -EINVAL;
	if (!xen_still(xengntshr_fd(xh->shr), xh->shr_rdev))
		return -EIO;
	op.index = p->index + byte;
	rc = os_ioctl(xengntshr_fd(xh->shr), IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, &op);
	if (rc == 0)
		let_go(xh, p);
	return rc;
}

/* The kernel frees a page when neither we nor the peer map it: after a
 * migration too, where the grant itself has long gone [X 4]. */
void xen_unshare_pages(struct xen_hv *xh, struct xen_pages *p)
{
	int keep = errno;

	xvmc_list_del(&p->node);
	OS2(SYS_munmap, p->addr, p->npages * XEN_PAGE);
	let_go(xh, p);
	free(p);
	errno = keep;
}

void xen_unshare(struct xvmc_hv *hv, struct xvmc_share *share)
{
	if (!share->priv)
		return;
	xen_unshare_pages(xen_hv_of(hv), share->priv);
	memset(share, 0, sizeof(*share));
}

int xen_keep_share(struct xvmc_hv *hv, struct xvmc_share *share, void *with)
{
	struct xen_pages *p = share->priv;
	int rc = xvmc_hv_replace(p->addr, with, p->npages);

	if (rc == 0)
		let_go(xen_hv_of(hv), p);
	return rc;
}
