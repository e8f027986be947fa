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

static struct local_hv *local(struct xvmc_hv *hv)
{
	return (struct local_hv *)hv;
}

static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static int local_self(struct xvmc_hv *hv, struct xvmc_hv_self *ret_self)
{
	struct local_hv *lh = local(hv);
	const struct xvmc_board_dom *dom = &lh->board->dom[lh->slot];
	uint32_t domid, incarnation;

	do {
		domid = load(&dom->domid);
		incarnation = load(&dom->incarnation);
	} while (load(&dom->domid) != domid);
	if (!load(&dom->in_use))
		return -EIO;
	ret_self->domid = domid;
	ret_self->incarnation = incarnation;
	return 0;
}

static uint32_t local_incarnation(struct xvmc_hv *hv)
{
	struct local_hv *lh = local(hv);

	return load(&lh->board->dom[lh->slot].incarnation);
}

/* Whether the present xvmcd knows what was made in that life. */
static bool known(const struct local_hv *lh, uint32_t life)
{
	return lh->sock >= 0 && lh->life == life;
}

static int local_share(struct xvmc_hv *hv, xvmc_domid_t peer, size_t npages,
		       bool writable, struct xvmc_share *ret_share,
		       xvmc_gref_t *ret_grefs)
{
	struct local_hv *lh = local(hv);
	struct local_share *share;
	int rc;

	rc = local_share_new(npages, writable, &share);
	if (rc < 0)
		return rc;
	share->peer = peer;
	rc = local_grant(lh, share);
	if (rc < 0) {
		local_share_free(share);
		return rc;
	}
	xvmc_list_add(&lh->shares, &share->node);
	for (size_t i = 0; i < npages; i++)
		ret_grefs[i] = share->gref + (uint32_t)i;
	*ret_share = (struct xvmc_share){ .addr = share->addr,
					  .npages = npages,
					  .writable = writable,
					  .priv = share };
	return 0;
}

static void local_unshare(struct xvmc_hv *hv, struct xvmc_share *handle)
{
	struct local_hv *lh = local(hv);
	struct local_share *share = handle->priv;

	/* xvmcd dropped the grant itself when we were cut. */
	if (known(lh, share->life) && !share->cut)
		local_tell(lh, XVMC_LW_UNGRANT, share->gref);
	local_share_free(share);
	*handle = (struct xvmc_share){ 0 };
}

static int local_owner_clear(struct xvmc_hv *hv, struct xvmc_share *handle,
			     size_t byte)
{
	struct local_hv *lh = local(hv);
	struct local_share *share = handle->priv;

	if (!handle->writable || byte >= handle->npages * XVMC_PAGE_SIZE)
		return -EINVAL;
	if (!known(lh, share->life) || share->cut)
		return -EIO;
	share->clear = true;
	share->clear_byte = byte;
	local_tell_at(lh, XVMC_LW_OWNER_CLEAR, share->gref, (uint32_t)byte);
	return 0;
}

/* A map call takes the pages of one share call, or a run of them. */
static bool one_run(const xvmc_gref_t *grefs, size_t n)
{
	for (size_t i = 1; i < n; i++)
		if (grefs[i] != grefs[0] + i)
			return false;
	return n > 0 && n <= XVMC_LW_PAGES_MAX;
}

static int local_map(struct xvmc_hv *hv, xvmc_domid_t peer,
		     const xvmc_gref_t *grefs, size_t ngrefs, bool writable,
		     size_t clear_byte, struct xvmc_map *ret_map)
{
	struct local_hv *lh = local(hv);
	struct xvmc_lw_call msg = {
		.hdr = { .type = XVMC_LW_MAP, .len = sizeof(msg) },
		.peer = peer,
		.npages = (uint32_t)ngrefs,
		.writable = writable,
		.clear_byte = XVMC_LW_NO_CLEAR,
	};
	struct local_map *map;
	struct xvmc_lw_reply reply;
	int rc, fd;

	if (!one_run(grefs, ngrefs))
		return -EINVAL;
	if (clear_byte != XVMC_HV_NO_CLEAR) {
		if (!writable || clear_byte >= ngrefs * XVMC_PAGE_SIZE)
			return -EINVAL;
		msg.clear_byte = clear_byte;
	}
	msg.number = grefs[0];
	rc = local_call(lh, &msg, -1, &reply, 1, &fd);
	if (rc < 0)
		return rc;
	rc = local_map_new(fd, reply.offset, ngrefs, writable, &map);
	if (rc < 0) {
		local_tell(lh, XVMC_LW_UNMAP, reply.number);
		return rc;
	}
	map->clear_byte = clear_byte;
	map->number = reply.number;
	map->life = lh->life;
	xvmc_list_add(&lh->maps, &map->node);
	*ret_map = (struct xvmc_map){ .addr = map->addr,
				      .npages = ngrefs,
				      .writable = writable,
				      .priv = map };
	return 0;
}

static void local_unmap(struct xvmc_hv *hv, struct xvmc_map *handle)
{
	struct local_hv *lh = local(hv);
	struct local_map *map = handle->priv;

	if (!map->cut && map->clear_byte != XVMC_HV_NO_CLEAR)
		__atomic_store_n(map->addr + map->clear_byte, 0, __ATOMIC_RELEASE);
	if (known(lh, map->life))
		local_tell(lh, XVMC_LW_UNMAP, map->number);
	local_map_free(map);
	*handle = (struct xvmc_map){ 0 };
}

static int local_chan(struct local_hv *lh, uint16_t type, xvmc_domid_t peer,
		      xvmc_port_t port, struct xvmc_chan *ret_chan)
{
	struct xvmc_lw_call msg = {
		.hdr = { .type = type, .len = sizeof(msg) },
		.peer = peer,
		.number = port,
	};
	struct xvmc_lw_reply reply;
	struct local_chan *chan;
	int fds[2], rc;

	chan = calloc(1, sizeof(*chan));
	if (!chan)
		return -ENOBUFS;
	rc = local_call(lh, &msg, -1, &reply, 2, fds);
	if (rc < 0) {
		free(chan);
		return rc;
	}
	chan->wait_fd = fds[0];
	chan->peer_fd = fds[1];
	chan->port = reply.number;
	chan->life = lh->life;
	chan->self_word = &lh->board->dom[lh->slot].domid;
	chan->peer_word = &lh->board->dom[reply.peer_slot % XVMC_BOARD_DOMS].domid;
	chan->self_domid = reply.self;
	chan->peer_domid = peer;
	xvmc_list_add(&lh->chans, &chan->node);
	*ret_chan = (struct xvmc_chan){ .wait_fd = fds[0],
					.port = reply.number,
					.self_ring = true,
					.priv = chan };
	return 0;
}

static int local_chan_alloc(struct xvmc_hv *hv, xvmc_domid_t peer,
			    struct xvmc_chan *ret_chan)
{
	return local_chan(local(hv), XVMC_LW_CHAN_ALLOC, peer, 0, ret_chan);
}

static int local_chan_bind(struct xvmc_hv *hv, xvmc_domid_t peer,
			   xvmc_port_t peer_port, struct xvmc_chan *ret_chan)
{
	return local_chan(local(hv), XVMC_LW_CHAN_BIND, peer, peer_port, ret_chan);
}

static void chan_free(struct local_chan *chan)
{
	xvmc_list_del(&chan->node);
	os_close(chan->wait_fd);
	os_close(chan->peer_fd);
	free(chan);
}

static void local_chan_close(struct xvmc_hv *hv, struct xvmc_chan *handle)
{
	struct local_hv *lh = local(hv);
	struct local_chan *chan = handle->priv;

	if (known(lh, chan->life))
		local_tell(lh, XVMC_LW_CHAN_CLOSE, chan->port);
	chan_free(chan);
	*handle = (struct xvmc_chan){ .wait_fd = -1 };
}

/* The board is the authority on whether either side has moved: it says so
 * before anybody is told. */
static int local_notify(struct xvmc_hv *hv, struct xvmc_chan *handle)
{
	const struct local_chan *chan = handle->priv;
	const uint64_t one = 1;
	ssize_t n;

	if (atomic_load_explicit(&chan->silent, memory_order_relaxed) ||
	    load(chan->self_word) != chan->self_domid ||
	    load(chan->peer_word) != chan->peer_domid)
		return 0;
	n = os_write(chan->peer_fd, &one, sizeof(one));
	return n < 0 ? (int)n : 0;
}

static int local_event_fd(struct xvmc_hv *hv)
{
	return local(hv)->wait_fd;
}

static int local_dispatch(struct xvmc_hv *hv)
{
	struct local_hv *lh = local(hv);

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
	struct local_hv *lh = local(hv);
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &lh->chans)
		chan_free(xvmc_list_entry(it, struct local_chan, node));
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
	struct local_hv *lh = local(hv);
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &lh->chans)
		chan_free(xvmc_list_entry(it, struct local_chan, node));
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
	.notify = local_notify,
	.event_fd = local_event_fd,
	.dispatch = local_dispatch,
	.owner_clear = local_owner_clear,
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
