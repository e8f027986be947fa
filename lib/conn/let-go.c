/* SPDX-License-Identifier: MIT */
/*
 * Rings whose other guest has left this host and says no more: its pages are
 * let go, with copies of our own in their place. docs/protocol.md, "A guest that
 * does not answer". [S 4]
 */
#include <errno.h>

#include "rx.h"

/* Two pieces: one page, and npages others behind it. */
struct place {
	uint8_t *r, *sd;
	size_t npages;
};

static int place_new(struct place *ret_place, size_t npages)
{
	*ret_place = (struct place){ .r = xvmc_hv_memory(1),
				     .sd = xvmc_hv_memory(npages),
				     .npages = npages };
	return ret_place->r && ret_place->sd ? 0 : -ENOMEM;
}

static void place_free(struct place *place)
{
	xvmc_hv_memory_free(place->r, 1);
	xvmc_hv_memory_free(place->sd, place->npages);
}

static int let_go_rx(struct conn_t *c)
{
	struct conn_rx *rx = &c->rx;
	struct place to;
	int r = place_new(&to, rx->map_sd.npages);

	if (r == 0)
		r = xvmc_recver_copy(&rx->r, (struct xvmc_rpage *)(void *)to.r,
				     (struct xvmc_spage *)(void *)to.sd,
				     to.sd + XVMC_PAGE_SIZE);
	/* Who sleeps has not told the copy, nor any longer the sender. */
	xvmc_conn_want(c, XVMC_EV_RX_CHANGED);
	if (r == -ESTALE)
		rx_gone(c, XVMC_R_BAD_NONCE);
	/* In this order: should the second fail, what the R-page says to the sender
	 * is not taken back, and our copy of it proves nothing. */
	if (r == 0)
		r = xvmc_hv_keep_map(c->hv, &rx->map_r, to.r);
	if (r == 0) {
		rx->kept = true;
		to.r = NULL;
		r = xvmc_hv_keep_map(c->hv, &rx->map_sd, to.sd);
	}
	if (r == 0)
		to.sd = NULL;
	place_free(&to);
	return r;
}

static int let_go_tx(struct conn_t *c)
{
	struct conn_tx *tx = &c->tx;
	struct place to;
	int r = place_new(&to, tx->share_sd.npages);

	if (r == 0) {
		memcpy(to.r, tx->share_r.addr, XVMC_PAGE_SIZE);
		memcpy(to.sd, tx->share_sd.addr, to.npages * XVMC_PAGE_SIZE);
		tx->attached = false;
		r = xvmc_hv_keep_share(c->hv, &tx->share_sd, to.sd);
	}
	if (r == 0) {
		to.sd = NULL;
		r = xvmc_hv_keep_share(c->hv, &tx->share_r, to.r);
	}
	if (r == 0)
		to.r = NULL;
	place_free(&to);
	return r;
}

int xvmc_conn_let_go(struct conn_t *c)
{
	struct conn_tx *tx = &c->tx;
	struct conn_rx *rx = &c->rx;
	int r = 0;

	if (tx->path != XVMC_PATH_TCP || tx->announced)
		return -EBUSY;
	/* What failed half-way is done again: copies are made of copies. */
	if (rx->have_map_sd && !rx->gone)
		r = let_go_rx(c);
	if (r == 0 && tx->have_share)
		r = let_go_tx(c);
	if (r < 0)
		return r;
	if (tx->have_chan)
		xvmc_hv_chan_hush(c->hv, &tx->chan);
	if (rx->have_chan)
		xvmc_hv_chan_hush(c->hv, &rx->chan);
	return 0;
}
