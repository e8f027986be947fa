/* SPDX-License-Identifier: MIT */
/*
 * What is alike for every backend of the hypervisor port: a direction's pages
 * and its channel, made and taken apart together; a look at a page without a
 * mapping that stays; and memory of our own in the place of pages that were shared.
 */
#include <string.h>
#include <sys/mman.h>

#include "hv.h"
#include "xvmc/abi.h"

static int offer_one_by_one(struct xvmc_hv *hv, xvmc_domid_t peer, size_t npages,
			    struct xvmc_offered *o, xvmc_gref_t *grefs)
{
	int rc;

	rc = xvmc_hv_share(hv, peer, 1, true, &o->r, grefs);
	if (rc == 0)
		rc = xvmc_hv_share(hv, peer, npages, false, &o->sd, grefs + 1);
	if (rc == 0)
		rc = xvmc_hv_chan_alloc(hv, peer, &o->chan);
	return rc;
}

int xvmc_hv_offer(struct xvmc_hv *hv, xvmc_domid_t peer, size_t npages,
		  struct xvmc_offered *ret_offered, xvmc_gref_t *ret_grefs)
{
	struct xvmc_offered got = { .chan.wait_fd = -1 };
	int rc;

	if (hv->ops->offer)
		return hv->ops->offer(hv, peer, npages, ret_offered, ret_grefs);
	rc = offer_one_by_one(hv, peer, npages, &got, ret_grefs);
	if (rc < 0) {
		xvmc_hv_withdraw(hv, &got);
		return rc;
	}
	*ret_offered = got;
	return 0;
}

void xvmc_hv_withdraw(struct xvmc_hv *hv, struct xvmc_offered *offered)
{
	if (offered->chan.priv)
		xvmc_hv_chan_close(hv, &offered->chan);
	if (offered->sd.priv)
		xvmc_hv_unshare(hv, &offered->sd);
	if (offered->r.priv)
		xvmc_hv_unshare(hv, &offered->r);
}

static int accept_one_by_one(struct xvmc_hv *hv, xvmc_domid_t peer,
			     const xvmc_gref_t *grefs, size_t ngrefs, size_t clear_byte,
			     xvmc_port_t port, struct xvmc_accepted *a)
{
	int rc;

	rc = xvmc_hv_map(hv, peer, grefs, 1, true, clear_byte, &a->r);
	if (rc == 0)
		rc = xvmc_hv_map(hv, peer, grefs + 1, ngrefs - 1, false,
				 XVMC_HV_NO_CLEAR, &a->sd);
	if (rc == 0)
		rc = xvmc_hv_chan_bind(hv, peer, port, &a->chan);
	return rc;
}

int xvmc_hv_accept(struct xvmc_hv *hv, xvmc_domid_t peer, const xvmc_gref_t *grefs,
		   size_t ngrefs, size_t clear_byte, xvmc_port_t port,
		   struct xvmc_accepted *ret_accepted)
{
	struct xvmc_accepted got = { .chan.wait_fd = -1 };
	int rc;

	if (hv->ops->accept)
		return hv->ops->accept(hv, peer, grefs, ngrefs, clear_byte, port,
				       ret_accepted);
	rc = accept_one_by_one(hv, peer, grefs, ngrefs, clear_byte, port, &got);
	if (rc < 0) {
		xvmc_hv_leave(hv, &got);
		return rc;
	}
	*ret_accepted = got;
	return 0;
}

void xvmc_hv_leave(struct xvmc_hv *hv, struct xvmc_accepted *accepted)
{
	if (accepted->chan.priv)
		xvmc_hv_chan_close(hv, &accepted->chan);
	if (accepted->sd.priv)
		xvmc_hv_unmap(hv, &accepted->sd);
	if (accepted->r.priv)
		xvmc_hv_unmap(hv, &accepted->r);
}

int xvmc_hv_copy(struct xvmc_hv *hv, xvmc_domid_t peer, xvmc_gref_t gref, size_t at,
		 void *ret_buf, size_t len)
{
	struct xvmc_map map;
	int rc;

	if (at > XVMC_PAGE_SIZE || len > XVMC_PAGE_SIZE - at)
		return -EINVAL;
	if (hv->ops->copy)
		return hv->ops->copy(hv, peer, gref, at, ret_buf, len);
	rc = xvmc_hv_map(hv, peer, &gref, 1, false, XVMC_HV_NO_CLEAR, &map);
	if (rc < 0)
		return rc;
	memcpy(ret_buf, (const char *)map.addr + at, len);
	xvmc_hv_unmap(hv, &map);
	return 0;
}

/* Not for a child, as what it takes the place of. */
void *xvmc_hv_memory(size_t npages)
{
	size_t len = npages * XVMC_PAGE_SIZE;
	void *addr = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (addr == MAP_FAILED)
		return NULL;
	madvise(addr, len, MADV_DONTFORK);
	return addr;
}

void xvmc_hv_memory_free(void *addr, size_t npages)
{
	if (addr)
		munmap(addr, npages * XVMC_PAGE_SIZE);
}

/* Who touches the place meanwhile waits in the kernel until it is done: it finds
 * the one or the other, never a hole. */
int xvmc_hv_replace(void *at, void *with, size_t npages)
{
	size_t len = npages * XVMC_PAGE_SIZE;

	return mremap(with, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, at) == at ? 0 : -errno;
}
