/* SPDX-License-Identifier: MIT */
/*
 * Set-up and tear-down of a connection's rings: what each side makes, checks
 * and releases [S 3] [S 4]. Who sends which message when is the service
 * thread's business (lib/socket/link-setup.c).
 */
#include <errno.h>
#include <string.h>

#include "base/os.h"
#include "conn.h"

int xvmc_conn_offer(struct conn_t *c, struct xvmc_hv *hv, unsigned int order,
		    struct xvmc_setup_offer *ret_offer)
{
	struct conn_tx *tx = &c->tx;
	uint32_t npages = 1u << order;
	uint8_t nonce[XVMC_NONCE_LEN];
	struct xvmc_offered made;
	struct xvmc_hv_self self;
	uint8_t *sd;
	int r;

	c->hv = hv;
	memset(ret_offer, 0, sizeof(*ret_offer));
	/* All-ones is what a lost mapping reads as: never a nonce. The top
	 * bit of the last byte is kept clear for that. */
	if (os_random(nonce, sizeof(nonce)) != (ssize_t)sizeof(nonce))
		return -EIO;
	nonce[XVMC_NONCE_LEN - 1] &= 0x7f;
	r = xvmc_hv_self(hv, &self);
	if (r < 0)
		return r;
	r = xvmc_hv_offer(hv, c->peer_domid, 1 + npages, &made, ret_offer->gref);
	if (r < 0)
		return r;
	tx->share_r = made.r;
	tx->share_sd = made.sd;
	tx->chan = made.chan;
	tx->have_share = tx->have_chan = true;
	xvmc_stat_add(c->stats, XVMC_S_RING_PAGES, 2 + npages);
	sd = tx->share_sd.addr;
	xvmc_sender_init(&tx->s, (struct xvmc_spage *)(void *)sd,
			 tx->share_r.addr, sd + XVMC_PAGE_SIZE, order, nonce);
	ring_set_owner(tx->s.r, xvmc_hv_owner_clear(hv, &tx->share_r,
						    offsetof(struct xvmc_rpage, owner)) < 0 ?
					XVMC_OWNER_UNTOLD :
					XVMC_OWNER_ALIVE);
	tx->epoch = 0;
	c->incarnation = self.incarnation;
	ret_offer->hdr.version = XVMC_ABI_VERSION;
	ret_offer->hdr.type = XVMC_SETUP_OFFER;
	ret_offer->ngrefs = 2 + npages;
	ret_offer->hdr.len = (uint16_t)(offsetof(struct xvmc_setup_offer, gref) +
					sizeof(uint32_t) * ret_offer->ngrefs);
	memcpy(ret_offer->nonce, nonce, sizeof(nonce));
	ret_offer->domid = self.domid;
	ret_offer->port = tx->chan.port;
	ret_offer->order = order;
	return 0;
}

static bool offer_makes_sense(const struct xvmc_setup_offer *offer, size_t len)
{
	return len >= offsetof(struct xvmc_setup_offer, gref) &&
	       offer->hdr.version == XVMC_ABI_VERSION &&
	       offer->hdr.len == len && offer->order <= XVMC_RING_ORDER_MAX &&
	       offer->ngrefs == 2 + (1u << offer->order) &&
	       len == offsetof(struct xvmc_setup_offer, gref) +
			      sizeof(uint32_t) * offer->ngrefs &&
	       /* all-ones would match a lost mapping */
	       !(offer->nonce[XVMC_NONCE_LEN - 1] & 0x80);
}

int xvmc_conn_accept_offer(struct conn_t *c, struct xvmc_hv *hv,
			   const struct xvmc_setup_offer *offer, size_t len)
{
	struct conn_rx *rx = &c->rx;
	struct xvmc_accepted theirs;
	uint8_t *sd;
	int r;

	if (!offer_makes_sense(offer, len))
		return -EPROTO;
	if (offer->domid != c->peer_domid)
		return -ENOENT;
	if (!xvmc_conn_rx_idle(c) || rx->have_map_r || rx->have_chan)
		return -EBUSY;
	c->hv = hv;
	r = xvmc_hv_accept(hv, offer->domid, offer->gref, offer->ngrefs,
			   offsetof(struct xvmc_rpage, alive), offer->port, &theirs);
	if (r < 0)
		return r;
	rx->map_r = theirs.r;
	rx->map_sd = theirs.sd;
	rx->chan = theirs.chan;
	rx->have_map_r = rx->have_map_sd = rx->have_chan = true;
	sd = rx->map_sd.addr;
	r = xvmc_recver_init(&rx->r, (const struct xvmc_spage *)(void *)sd,
			     rx->map_r.addr, sd + XVMC_PAGE_SIZE, offer->order,
			     offer->nonce);
	if (r < 0) {
		xvmc_conn_rx_detach(c);
		return r;
	}
	ring_start_reading(rx->r.r);
	memcpy(rx->nonce, offer->nonce, XVMC_NONCE_LEN);
	rx->epoch = rx->odd_epoch = 0;
	rx->gone = rx->kept = false;
	rx->attached = true;
	return 0;
}

/* A peer that lies about it harms itself: it will acknowledge nothing. */
bool xvmc_conn_ready(struct conn_t *c)
{
	if (!c->tx.have_share || c->tx.attached || !ring_reader_lives(c->tx.s.r))
		return false;
	c->tx.attached = true;
	return true;
}

bool xvmc_conn_tx_idle(const struct conn_t *c)
{
	return c->tx.path == XVMC_PATH_TCP && !c->tx.announced &&
	       (!xvmc_conn_tx_pending(c) || c->tx.err);
}

bool xvmc_conn_rx_idle(const struct conn_t *c)
{
	return c->rx.err || (c->rx.path == XVMC_PATH_TCP &&
			     c->rx.expect == XVMC_POS_NONE);
}

void xvmc_conn_tx_detach(struct conn_t *c)
{
	struct conn_tx *tx = &c->tx;

	tx->attached = false;
	if (tx->have_chan)
		xvmc_hv_chan_close(c->hv, &tx->chan);
	if (tx->have_share) {
		/* a level: it goes down as it came up */
		xvmc_stat_add(c->stats, XVMC_S_RING_PAGES,
			      -(uint64_t)(2 + tx->s.size / XVMC_PAGE_SIZE));
		xvmc_hv_unshare(c->hv, &tx->share_sd);
		xvmc_hv_unshare(c->hv, &tx->share_r);
	}
	tx->have_chan = tx->have_share = false;
	tx->leave_epoch = 0;
	memset(&tx->s, 0, sizeof(tx->s));
}

void xvmc_conn_rx_detach(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;

	rx->attached = false;
	if (rx->have_chan)
		xvmc_hv_chan_close(c->hv, &rx->chan);
	if (rx->have_map_sd)
		xvmc_hv_unmap(c->hv, &rx->map_sd);
	if (rx->have_map_r)
		xvmc_hv_unmap(c->hv, &rx->map_r);
	rx->have_chan = rx->have_map_sd = rx->have_map_r = false;
	memset(&rx->r, 0, sizeof(rx->r));
}
