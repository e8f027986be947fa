/* SPDX-License-Identifier: MIT */
/*
 * The functions of xvmc/xvmc.h.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "preload.h"
#include "xvmc/xvmc.h"

/* Says why there is no endpoint. */
static int nothing(int fd)
{
	errno = fcntl(fd, F_GETFD) < 0 ? EBADF : ENOTCONN;
	return -1;
}

static void direction(struct xvmc_fd_direction *d, uint32_t path, unsigned int reason,
		      uint64_t bytes, uint64_t ring_bytes)
{
	d->path = path;
	snprintf(d->reason, sizeof(d->reason), "%s", xvmc_reason_word(reason));
	d->bytes = bytes;
	d->ring_bytes = ring_bytes;
}

EXPORT int xvmc_fd_info(int fd, struct xvmc_fd_info *ret)
{
	ENDPOINT(ep, fd);
	struct xvmc_fd_info info = { 0 };
	struct conn_t *c;
	bool plain;

	if (!ep)
		return nothing(fd);
	if (ret->size < sizeof(ret->size)) {
		errno = EINVAL;
		return -1;
	}
	c = &ep->conn;
	plain = !xvmc_ep_managed(ep);
	section_lock(&c->tx.lock);
	direction(&info.tx, c->tx.path, plain ? ep->reason : c->tx.reason, c->tx.sent,
		  c->tx.ring_bytes);
	info.switches = c->switches;
	info.tx_ring_size = xvmc_conn_tx_size(c);
	section_unlock(&c->tx.lock);
	section_lock(&c->rx.lock);
	direction(&info.rx, c->rx.path, plain ? ep->reason : c->rx.reason, c->rx.rcvd,
		  c->rx.ring_bytes);
	info.rx_ring_size = xvmc_conn_rx_size(c);
	section_unlock(&c->rx.lock);
	info.size = ret->size < sizeof(info) ? ret->size : sizeof(info);
	memcpy(ret, &info, info.size);
	return 0;
}

static int steer(int fd, enum xvmc_path to)
{
	ENDPOINT(ep, fd);
	uint32_t state = XVMC_EP_TRACKED;
	int saved = errno;

	if (!ep)
		return nothing(fd);
	if (atomic_load(&ep->state) == XVMC_EP_PINNED && to == XVMC_PATH_RING) {
		errno = EPERM;
		return -1;
	}
	atomic_store(&ep->steer_wanted, 1u + to);
	if (to == XVMC_PATH_TCP ||
	    !atomic_compare_exchange_strong(&ep->state, &state, XVMC_EP_QUEUED)) {
		if (atomic_load(&ep->state) != XVMC_EP_TRACKED)
			xvmc_service_kick(ep);
	} else {
		xvmc_service_kick(ep);
	}
	errno = saved;
	return 0;
}

EXPORT int xvmc_promote(int fd)
{
	return steer(fd, XVMC_PATH_RING);
}

EXPORT int xvmc_demote(int fd)
{
	return steer(fd, XVMC_PATH_TCP);
}
