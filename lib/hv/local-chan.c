/* SPDX-License-Identifier: MIT */
/*
 * The local backend's event channels: two eventfds that xvmcd makes, one for
 * each side to sleep on.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/os.h"
#include "local.h"

void local_chan_begin(struct local_hv *lh, uint16_t type, xvmc_domid_t peer,
		      xvmc_port_t port, struct local_call *ret_call)
{
	struct xvmc_lw_call msg = {
		.hdr = { .type = type, .len = sizeof(msg) },
		.peer = peer,
		.number = port,
	};

	local_call_begin(lh, &msg, -1, ret_call);
}

int local_chan_end(struct local_hv *lh, xvmc_domid_t peer, const struct local_call *call,
		   struct xvmc_chan *ret_chan)
{
	struct xvmc_lw_reply reply;
	struct local_chan *chan;
	int fds[2], rc;

	rc = local_call_end(lh, call, &reply, 2, fds);
	if (rc < 0)
		return rc;
	chan = calloc(1, sizeof(*chan));
	if (!chan) {
		os_close(fds[0]);
		os_close(fds[1]);
		local_tell(lh, XVMC_LW_CHAN_CLOSE, reply.number);
		return -ENOBUFS;
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

int local_chan_alloc(struct xvmc_hv *hv, xvmc_domid_t peer, struct xvmc_chan *ret_chan)
{
	struct local_call call;

	local_chan_begin(local_of(hv), XVMC_LW_CHAN_ALLOC, peer, 0, &call);
	return local_chan_end(local_of(hv), peer, &call, ret_chan);
}

int local_chan_bind(struct xvmc_hv *hv, xvmc_domid_t peer, xvmc_port_t peer_port,
		    struct xvmc_chan *ret_chan)
{
	struct local_call call;

	local_chan_begin(local_of(hv), XVMC_LW_CHAN_BIND, peer, peer_port, &call);
	return local_chan_end(local_of(hv), peer, &call, ret_chan);
}

void local_chan_free(struct local_chan *chan)
{
	xvmc_list_del(&chan->node);
	os_close(chan->wait_fd);
	os_close(chan->peer_fd);
	free(chan);
}

void local_chan_close(struct xvmc_hv *hv, struct xvmc_chan *handle)
{
	struct local_hv *lh = local_of(hv);
	struct local_chan *chan = handle->priv;

	if (local_known(lh, chan->life))
		local_tell(lh, XVMC_LW_CHAN_CLOSE, chan->port);
	local_chan_free(chan);
	*handle = (struct xvmc_chan){ .wait_fd = -1 };
}

void local_chan_hush(struct xvmc_hv *hv, struct xvmc_chan *handle)
{
	struct local_hv *lh = local_of(hv);
	struct local_chan *chan = handle->priv;

	atomic_store(&chan->silent, true);
	if (local_known(lh, chan->life))
		local_tell(lh, XVMC_LW_CHAN_CLOSE, chan->port);
	chan->life = 0; /* no xvmcd knows it any more */
}

/* The board is the authority on whether either side has moved: it says so
 * before anybody is told. */
int local_notify(struct xvmc_hv *hv, struct xvmc_chan *handle)
{
	const struct local_chan *chan = handle->priv;
	const uint64_t one = 1;
	ssize_t n;

	if (atomic_load_explicit(&chan->silent, memory_order_relaxed) ||
	    local_load(chan->self_word) != chan->self_domid ||
	    local_load(chan->peer_word) != chan->peer_domid)
		return 0;
	n = os_write(chan->peer_fd, &one, sizeof(one));
	return n < 0 ? (int)n : 0;
}
