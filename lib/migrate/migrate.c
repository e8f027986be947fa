/* SPDX-License-Identifier: MIT */
/*
 * The phases of a live migration for one connection [S 6].
 */
#include "migrate.h"

bool migrate_concerns(const struct conn_t *c, const struct migrate_event *ev)
{
	/* Not by the link: that ends when the other end has left, and what we
	 * have mapped of it goes only when our own reader has come that far. */
	return c->peer_domid != XVMC_DOMID_NONE &&
	       (ev->self || c->peer_domid == ev->old_domid);
}

bool keep_con_with_migration(struct conn_t *c, const struct migrate_event *ev)
{
	(void)c;
	(void)ev;
	return true;
}

void finish_mig(struct conn_t *c, const struct migrate_event *ev)
{
	if (ev->self && c->rx.attached && !c->rx.kept)
		c->rx.gone = true;
	xvmc_conn_tx_leave(c, ev->self ? XVMC_R_MIGRATE_SELF : XVMC_R_MIGRATE_PEER,
			   true);
}
