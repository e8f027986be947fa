/* SPDX-License-Identifier: MIT */
/*
 * The embedded backend of the hypervisor port: no hypervisor and no root.
 * Grants are sealed memfds and event channels eventfds; xvmcd hands them out
 * and enforces who may have which (local-host.c). After set-up the data path
 * never touches xvmcd.
 *
 * Threads, fork, exec, migration: as hv.h says. When xvmcd ends, the handle
 * goes on with what it has; xvmc_hv_event_fd is readable when another one
 * takes its place, and any later call tries to reach it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/numbers.h"
#include "base/os.h"
#include "local.h"

static int local_self(struct xvmc_hv *hv, struct xvmc_hv_self *ret_self)
{
	struct local_hv *lh = local_of(hv);
	const struct xvmc_board_dom *dom = &lh->board->dom[lh->slot];
	uint32_t domid, incarnation;

	do {
		domid = local_load(&dom->domid);
		incarnation = local_load(&dom->incarnation);
	} while (local_load(&dom->domid) != domid);
	if (!local_load(&dom->in_use))
		return -EIO;
	ret_self->domid = domid;
	ret_self->incarnation = incarnation;
	return 0;
}

static uint32_t local_incarnation(struct xvmc_hv *hv)
{
	struct local_hv *lh = local_of(hv);

	return local_load(&lh->board->dom[lh->slot].incarnation);
}

/* ---- pages of ours ---- */

/* On its way to be granted. */
struct granting {
	struct local_share *share;
	struct local_call call;
	int rc; /* there is none */
};

static void share_begin(struct local_hv *lh, xvmc_domid_t peer, size_t npages,
			bool writable, struct granting *ret_g)
{
	ret_g->rc = local_share_new(npages, writable, &ret_g->share);
	if (ret_g->rc < 0)
		return;
	ret_g->share->peer = peer;
	local_grant_begin(lh, ret_g->share, &ret_g->call);
}

static int share_end(struct local_hv *lh, const struct granting *g,
		     struct xvmc_share *ret_share, xvmc_gref_t *ret_grefs)
{
	struct local_share *share = g->share;
	int rc;

	if (g->rc < 0)
		return g->rc;
	rc = local_grant_end(lh, share, &g->call);
	if (rc < 0) {
		local_share_free(share);
		return rc;
	}
	xvmc_list_add(&lh->shares, &share->node);
	for (size_t i = 0; i < share->npages; i++)
		ret_grefs[i] = share->gref + (uint32_t)i;
	*ret_share = (struct xvmc_share){ .addr = share->addr,
					  .npages = share->npages,
					  .writable = share->writable,
					  .priv = share };
	return 0;
}

static int local_share(struct xvmc_hv *hv, xvmc_domid_t peer, size_t npages,
		       bool writable, struct xvmc_share *ret_share,
		       xvmc_gref_t *ret_grefs)
{
	struct granting g;

	share_begin(local_of(hv), peer, npages, writable, &g);
	return share_end(local_of(hv), &g, ret_share, ret_grefs);
}

static void local_unshare(struct xvmc_hv *hv, struct xvmc_share *handle)
{
	struct local_hv *lh = local_of(hv);
	struct local_share *share = handle->priv;

	/* xvmcd dropped the grant itself when we were cut. */
	if (local_known(lh, share->life) && !share->cut)
		local_tell(lh, XVMC_LW_UNGRANT, share->gref);
	local_share_free(share);
	*handle = (struct xvmc_share){ 0 };
}

static int local_owner_clear(struct xvmc_hv *hv, struct xvmc_share *handle,
			     size_t byte)
{
	struct local_hv *lh = local_of(hv);
	struct local_share *share = handle->priv;

	if (!handle->writable || byte >= handle->npages * XVMC_PAGE_SIZE)
		return -EINVAL;
	if (!local_known(lh, share->life) || share->cut)
		return -EIO;
	share->clear = true;
	share->clear_byte = byte;
	local_tell_at(lh, XVMC_LW_OWNER_CLEAR, share->gref, (uint32_t)byte);
	return 0;
}

/* ---- pages of a peer's ---- */

/* A map call takes the pages of one share call, or a run of them. */
static bool one_run(const xvmc_gref_t *grefs, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (grefs[i] != grefs[0] + i)
			return false;
	return n > 0 && n <= XVMC_LW_PAGES_MAX;
}

/* Asked for. */
struct mapping {
	size_t npages, clear_byte;
	bool writable;
	struct local_call call;
	int rc; /* it cannot be */
};

static void map_begin(struct local_hv *lh, xvmc_domid_t peer, const xvmc_gref_t *grefs,
		      size_t ngrefs, bool writable, size_t clear_byte,
		      struct mapping *ret_m)
{
	struct xvmc_lw_call msg = {
		.hdr = { .type = XVMC_LW_MAP, .len = sizeof(msg) },
		.peer = peer,
		.npages = (uint32_t)ngrefs,
		.writable = writable,
		.clear_byte = XVMC_LW_NO_CLEAR,
	};

	*ret_m = (struct mapping){ .npages = ngrefs,
				   .clear_byte = clear_byte,
				   .writable = writable,
				   .rc = -EINVAL };
	if (!one_run(grefs, ngrefs))
		return;
	if (clear_byte != XVMC_HV_NO_CLEAR) {
		if (!writable || clear_byte >= ngrefs * XVMC_PAGE_SIZE)
			return;
		msg.clear_byte = clear_byte;
	}
	msg.number = grefs[0];
	ret_m->rc = 0;
	local_call_begin(lh, &msg, -1, &ret_m->call);
}

static int map_end(struct local_hv *lh, const struct mapping *m, struct xvmc_map *ret_map)
{
	struct xvmc_lw_reply reply;
	struct local_map *map;
	int rc = m->rc, fd;

	if (rc == 0)
		rc = local_call_end(lh, &m->call, &reply, 1, &fd);
	if (rc < 0)
		return rc;
	rc = local_map_new(fd, reply.offset, m->npages, m->writable, &map);
	if (rc < 0) {
		local_tell(lh, XVMC_LW_UNMAP, reply.number);
		return rc;
	}
	map->clear_byte = m->clear_byte;
	map->number = reply.number;
	map->life = lh->life;
	xvmc_list_add(&lh->maps, &map->node);
	*ret_map = (struct xvmc_map){ .addr = map->addr,
				      .npages = m->npages,
				      .writable = m->writable,
				      .priv = map };
	return 0;
}

static int local_map(struct xvmc_hv *hv, xvmc_domid_t peer,
		     const xvmc_gref_t *grefs, size_t ngrefs, bool writable,
		     size_t clear_byte, struct xvmc_map *ret_map)
{
	struct mapping m;

	map_begin(local_of(hv), peer, grefs, ngrefs, writable, clear_byte, &m);
	return map_end(local_of(hv), &m, ret_map);
}

static void local_unmap(struct xvmc_hv *hv, struct xvmc_map *handle)
{
	struct local_hv *lh = local_of(hv);
	struct local_map *map = handle->priv;

	if (!map->cut && map->clear_byte != XVMC_HV_NO_CLEAR)
		__atomic_store_n(map->addr + map->clear_byte, 0, __ATOMIC_RELEASE);
	if (local_known(lh, map->life))
		local_tell(lh, XVMC_LW_UNMAP, map->number);
	local_map_free(map);
	*handle = (struct xvmc_map){ 0 };
}

/* ---- ours alone ---- */

static int local_keep_share(struct xvmc_hv *hv, struct xvmc_share *handle, void *with)
{
	struct local_hv *lh = local_of(hv);
	struct local_share *share = handle->priv;
	int rc = xvmc_hv_replace(share->addr, with, share->npages);

	if (rc < 0)
		return rc;
	if (local_known(lh, share->life) && !share->cut)
		local_tell(lh, XVMC_LW_UNGRANT, share->gref);
	share->cut = true;
	if (share->fd >= 0)
		os_close(share->fd);
	share->fd = -1;
	return 0;
}

static int local_keep_map(struct xvmc_hv *hv, struct xvmc_map *handle, void *with)
{
	struct local_hv *lh = local_of(hv);
	struct local_map *map = handle->priv;
	int rc = xvmc_hv_replace(map->addr, with, map->npages);

	if (rc < 0)
		return rc;
	if (local_known(lh, map->life))
		local_tell_at(lh, XVMC_LW_UNMAP, map->number, XVMC_LW_NOT_CLEARED);
	map->cut = true;
	map->life = 0; /* no xvmcd knows it any more */
	return 0;
}

/* ---- what a direction needs: three calls, and one wait ---- */

static int local_offer(struct xvmc_hv *hv, xvmc_domid_t peer, size_t npages,
		       struct xvmc_offered *ret_offered, xvmc_gref_t *ret_grefs)
{
	struct xvmc_offered got = { 0 };
	struct local_hv *lh = local_of(hv);
	struct granting r, sd;
	struct local_call chan;
	int rc[3];

	share_begin(lh, peer, 1, true, &r);
	share_begin(lh, peer, npages, false, &sd);
	local_chan_begin(lh, XVMC_LW_CHAN_ALLOC, peer, 0, &chan);
	rc[0] = share_end(lh, &r, &got.r, ret_grefs);
	rc[1] = share_end(lh, &sd, &got.sd, ret_grefs + 1);
	rc[2] = local_chan_end(lh, peer, &chan, &got.chan);
	for (int i = 0; i < 3; i++)
		if (rc[i] < 0) {
			xvmc_hv_withdraw(hv, &got);
			return rc[i];
		}
	*ret_offered = got;
	return 0;
}

static int local_accept(struct xvmc_hv *hv, xvmc_domid_t peer, const xvmc_gref_t *grefs,
			size_t ngrefs, size_t clear_byte, xvmc_port_t port,
			struct xvmc_accepted *ret_accepted)
{
	struct xvmc_accepted got = { 0 };
	struct local_hv *lh = local_of(hv);
	struct mapping r, sd;
	struct local_call chan;
	int rc[3];

	map_begin(lh, peer, grefs, 1, true, clear_byte, &r);
	map_begin(lh, peer, grefs + 1, ngrefs - 1, false, XVMC_HV_NO_CLEAR, &sd);
	local_chan_begin(lh, XVMC_LW_CHAN_BIND, peer, port, &chan);
	rc[0] = map_end(lh, &r, &got.r);
	rc[1] = map_end(lh, &sd, &got.sd);
	rc[2] = local_chan_end(lh, peer, &chan, &got.chan);
	for (int i = 0; i < 3; i++)
		if (rc[i] < 0) {
			xvmc_hv_leave(hv, &got);
			return rc[i];
		}
	*ret_accepted = got;
	return 0;
}

static int local_event_fd(struct xvmc_hv *hv)
{
	return local_of(hv)->wait_fd;
}

static int local_dispatch(struct xvmc_hv *hv)
{
	struct local_hv *lh = local_of(hv);

	int rc = lh->sock < 0 ? -EIO : local_drain(lh);

	/* The new one may have come before we looked out for it. */
	return rc == -EIO && local_connect(lh) == 0 ? local_drain(lh) : rc;
}

/* Descriptors and memory of the handle itself. */
static void release(struct local_hv *lh)
{
	if (lh->sock >= 0)
		os_close(lh->sock);
	if (lh->wait_fd >= 0)
		os_close(lh->wait_fd);
	if (lh->look_fd >= 0)
		os_close(lh->look_fd);
	if (lh->ff_fd >= 0)
		os_close(lh->ff_fd);
	if (lh->board)
		munmap(lh->board, XVMC_BOARD_SIZE);
	free(lh->dir);
	free(lh);
}

static void local_close(struct xvmc_hv *hv)
{
	struct local_hv *lh = local_of(hv);
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &lh->chans)
		local_chan_free(xvmc_list_entry(it, struct local_chan, node));
	xvmc_list_each(it, tmp, &lh->maps) {
		struct local_map *map = xvmc_list_entry(it, struct local_map, node);

		if (!map->cut && map->clear_byte != XVMC_HV_NO_CLEAR)
			__atomic_store_n(map->addr + map->clear_byte, 0, __ATOMIC_RELEASE);
		local_map_free(map);
	}
	xvmc_list_each(it, tmp, &lh->shares)
		local_share_free(xvmc_list_entry(it, struct local_share, node));
	release(lh); /* xvmcd sees the end and drops the rest */
}

/* The mappings do not exist in a child: their addresses may be anyone's. */
static void local_abandon(struct xvmc_hv *hv)
{
	struct local_hv *lh = local_of(hv);
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &lh->chans)
		local_chan_free(xvmc_list_entry(it, struct local_chan, node));
	xvmc_list_each(it, tmp, &lh->maps)
		free(xvmc_list_entry(it, struct local_map, node));
	xvmc_list_each(it, tmp, &lh->shares) {
		struct local_share *share = xvmc_list_entry(it, struct local_share, node);

		share->addr = MAP_FAILED;
		local_share_free(share);
	}
	release(lh);
}

static const struct xvmc_hv_ops local_ops = {
	.name = "local",
	.close = local_close,
	.abandon = local_abandon,
	.self = local_self,
	.incarnation = local_incarnation,
	.share = local_share,
	.unshare = local_unshare,
	.map = local_map,
	.unmap = local_unmap,
	.chan_alloc = local_chan_alloc,
	.chan_bind = local_chan_bind,
	.chan_close = local_chan_close,
	.keep_share = local_keep_share,
	.keep_map = local_keep_map,
	.chan_hush = local_chan_hush,
	.notify = local_notify,
	.event_fd = local_event_fd,
	.dispatch = local_dispatch,
	.owner_clear = local_owner_clear,
	.offer = local_offer,
	.accept = local_accept,
};

int xvmc_hv_open_local(const struct xvmc_hv_local_spec *spec,
		       struct xvmc_hv **ret_hv)
{
	struct local_hv *lh;
	int rc;

	if (strlen(spec->domain) >= XVMC_NAME_MAX)
		return -EINVAL;
	lh = calloc(1, sizeof(*lh));
	if (!lh)
		return -ENOMEM;
	lh->hv.ops = &local_ops;
	lh->sock = lh->wait_fd = lh->look_fd = lh->ff_fd = -1;
	xvmc_list_init(&lh->shares);
	xvmc_list_init(&lh->maps);
	xvmc_list_init(&lh->chans);
	strcpy(lh->domain, spec->domain);
	lh->dir = strdup(spec->dir);
	rc = -ENOMEM;
	if (!lh->dir)
		goto fail;
	rc = OS_MAKE(os_epoll_create(EPOLL_CLOEXEC));
	if (rc < 0)
		goto fail;
	lh->wait_fd = rc;
	rc = local_connect(lh);
	if (rc < 0)
		goto fail;
	*ret_hv = &lh->hv;
	return 0;
fail:
	release(lh);
	return rc;
}
