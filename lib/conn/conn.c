/* SPDX-License-Identifier: MIT */
/*
 * conn_t: birth, end, and invariants.
 */
#include "conn.h"

void xvmc_conn_init(struct conn_t *c, const struct xvmc_tcp_ops *tcp,
		    void *tcp_arg, struct xvmc_stats_page *stats)
{
	xvmc_conn_init_locks(c);
	xvmc_conn_restart(c, tcp, tcp_arg, stats);
}

void xvmc_conn_init_locks(struct conn_t *c)
{
	pthread_mutex_init(&c->tx.lock, NULL);
	pthread_mutex_init(&c->rx.lock, NULL);
}

/* Each direction begins with its lock. */
static_assert(offsetof(struct conn_tx, lock) == 0, "conn_tx");
static_assert(offsetof(struct conn_rx, lock) == 0, "conn_rx");

void xvmc_conn_restart(struct conn_t *c, const struct xvmc_tcp_ops *tcp,
		       void *tcp_arg, struct xvmc_stats_page *stats)
{
	const size_t lock = sizeof(pthread_mutex_t);

	memset(c, 0, offsetof(struct conn_t, tx));
	memset((char *)&c->tx + lock, 0, sizeof(c->tx) - lock);
	memset((char *)&c->rx + lock, 0, sizeof(c->rx) - lock);
	c->tcp = tcp;
	c->tcp_arg = tcp_arg;
	c->stats = stats;
	c->peer_domid = XVMC_DOMID_NONE;
	c->announce_ns = 1000000;
	c->patience = XVMC_PATIENCE;
	c->few = 32768; /* which the smallest default buffer holds */
	c->rx.expect = c->rx.held_pos = XVMC_POS_NONE;
	c->tx.reason = c->rx.reason = XVMC_R_YOUNG;
}

void xvmc_conn_deinit(struct conn_t *c)
{
	xvmc_bytes_free(&c->rx.in);
	xvmc_bytes_free(&c->rx.front);
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

bool xvmc_conn_ends(int err)
{
	return err == -ECONNRESET || err == -ETIMEDOUT || err == -ECONNABORTED;
}

int xvmc_conn_tell(struct conn_t *c, int known)
{
	int err = atomic_exchange(&c->untold, 0);

	if (known)
		c->told = true;
	if (xvmc_conn_ends(known)) {
		/* Who reads the ring, too, shall know of it. */
		c->tx.err = known;
		xvmc_conn_want(c, XVMC_EV_RX_CHANGED | XVMC_EV_CLOSED);
	}
	return known ? known : err;
}

void xvmc_conn_keep_error(struct conn_t *c, int err)
{
	if (!c->told)
		c->untold = err;
}
