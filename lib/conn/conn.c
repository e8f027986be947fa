/* SPDX-License-Identifier: MIT */
/*
 * conn_t: birth, end, and invariants.
 */
#include "conn.h"

void xvmc_conn_init(struct conn_t *c, const struct xvmc_tcp_ops *tcp,
		    void *tcp_arg, struct xvmc_stats_page *stats)
{
	memset(c, 0, sizeof(*c));
	c->tcp = tcp;
	c->tcp_arg = tcp_arg;
	c->stats = stats;
	c->peer_domid = XVMC_DOMID_NONE;
	c->announce_ns = 1000000;
	c->few = 32768; /* which the smallest default buffer holds */
	c->rx.expect = c->rx.held_pos = XVMC_POS_NONE;
	c->tx.reason = c->rx.reason = XVMC_R_YOUNG;
	pthread_mutex_init(&c->tx.lock, NULL);
	pthread_mutex_init(&c->rx.lock, NULL);
}

void xvmc_conn_deinit(struct conn_t *c)
{
	xvmc_bytes_free(&c->rx.in);
	xvmc_bytes_free(&c->rx.front);
	pthread_mutex_destroy(&c->tx.lock);
	pthread_mutex_destroy(&c->rx.lock);
}

bool xvmc_conn_validate(const struct conn_t *c)
{
	const struct conn_tx *tx = &c->tx;
	const struct conn_rx *rx = &c->rx;

	if (tx->head_off > tx->head_len || tx->head_len > sizeof(tx->head))
		return false;
	if (tx->path == XVMC_PATH_RING &&
	    (!tx->attached || tx->announced || tx->s.prod != tx->sent ||
	     !xvmc_sender_validate(&tx->s)))
		return false;
	if (tx->announced && (tx->ann_pos != tx->sent || !tx->attached))
		return false;
	if (tx->replay_pos < tx->replay_end && tx->path == XVMC_PATH_RING)
		return false;
	if (rx->path == XVMC_PATH_RING && rx->attached && !rx->gone &&
	    (rx->r.cons != rx->rcvd || !xvmc_recver_validate(&rx->r)))
		return false;
	if (rx->path == XVMC_PATH_RING &&
	    (rx->skip || rx->pull || rx->expect != XVMC_POS_NONE))
		return false;
	return rx->expect == XVMC_POS_NONE || rx->expect >= rx->rcvd;
}

int xvmc_conn_tell(struct conn_t *c, int known)
{
	int err = atomic_exchange(&c->untold, 0);

	if (known)
		c->told = true;
	return known ? known : err;
}

void xvmc_conn_keep_error(struct conn_t *c, int err)
{
	if (!c->told)
		c->untold = err;
}
