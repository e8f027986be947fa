/* SPDX-License-Identifier: MIT */
/*
 * What dom0 says of a migration by the toolstack, and our answer. It is asked
 * of the guest that moves and of those that stay: what one end has mapped the
 * other has granted.
 *
 * An answer is a promise about this moment only; what it comes too late for
 * is migrated unprepared. So nothing here need be right for bytes to be.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/reason.h"
#include "peer.h"
#include "xen.h"

struct notices {
	struct xen_mode *xen;
	uint32_t n;
	uint32_t domid[XVMC_BOARD_DOMS];
};

static struct xvmc_lh_dom *dom_of(struct xen_mode *xen, uint32_t domid)
{
	struct xvmc_list *it, *tmp;

	if (domid == xen->domid)
		return xen->self;
	xvmc_list_each(it, tmp, &xen->peers) {
		struct peer *peer = xvmc_list_entry(it, struct peer, node);

		if (peer->domid == domid)
			return peer->dom;
	}
	return NULL;
}

static bool listed(const struct notices *seen, uint32_t domid)
{
	for (uint32_t i = 0; i < seen->n; i++)
		if (seen->domid[i] == domid)
			return true;
	return false;
}

/* ---- the answer ---- */

static void say_prepared(struct xen_mode *xen, uint32_t domid, const char *number)
{
	char path[64];
	int rc;

	snprintf(path, sizeof(path), "data/xvmc/prepared-%u", domid);
	rc = xen_store_write(xen->store, path, number);
	log_line("migration of domid %u: prepared%s%s", domid, rc < 0 ? ", but dom0 cannot be told: " : "",
		 rc < 0 ? strerror(-rc) : "");
}

/* Each of the channels that a suspend spoils. The follower asks for another
 * one when that is over. */
static void hang_up(struct xen_mode *xen)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &xen->peers) {
		struct peer *peer = xvmc_list_entry(it, struct peer, node);

		if (!peer_quiet(peer))
			continue;
		peer_down(peer, XVMC_R_PREPARE);
		if (!peer->leader)
			peer->ask = 0;
	}
}

/* The processes have left their rings; what is between the xvmcds goes last,
 * since they needed it for that. */
void notice_answer(struct xvmcd *d, const struct xvmc_lh_dom *dom, const char *number)
{
	hang_up(d->xen);
	say_prepared(d->xen, dom->domid, number);
}

/* Also where no answer was given: a MATCH that came meanwhile was ignored, of
 * which the leader must not go on to think that it was not. */
void notice_over(struct xvmcd *d)
{
	hang_up(d->xen);
	loop_arm(d->loop, &d->xen->look, 0);
}

/* ---- the word ---- */

static bool take(void *arg, const char *name)
{
	struct notices *seen = arg;
	struct xen_mode *xen = seen->xen;
	char path[64], text[XEN_STORE_TEXT], number[NOTICE_NUMBER], phase[16], *end;
	unsigned long domid = strtoul(name, &end, 10);
	struct xvmc_lh_dom *dom;
	bool suspend;

	if (end == name || *end || seen->n == XVMC_BOARD_DOMS)
		return true;
	snprintf(path, sizeof(path), "xvmc/migrate/%lu", domid);
	if (xen_store_read(xen->store, path, text) < 0 || sscanf(text, "%19s %15s", number, phase) != 2)
		return true;
	seen->domid[seen->n++] = (uint32_t)domid;
	suspend = strcmp(phase, "prepare") == 0;
	dom = dom_of(xen, (uint32_t)domid);
	if (dom)
		migrate_noticed(xen->d, dom, number, suspend);
	else if (suspend)
		say_prepared(xen, (uint32_t)domid, number); /* we have nothing with it */
	return true;
}

/* Answers to what is over: a guest has room for few nodes. */
static bool sweep(void *arg, const char *name)
{
	struct notices *seen = arg;
	char path[64];
	uint32_t domid;

	if (sscanf(name, "prepared-%u", &domid) != 1 || listed(seen, domid))
		return true;
	snprintf(path, sizeof(path), "data/xvmc/prepared-%u", domid);
	xen_store_remove(seen->xen->store, path);
	return true;
}

static void off_unless(const struct notices *seen, const struct xvmc_lh_dom *dom)
{
	if (!listed(seen, dom->domid))
		migrate_off(seen->xen->d, dom);
}

void notices_look(struct xen_mode *xen)
{
	struct notices seen = { .xen = xen };
	struct xvmc_list *it, *tmp;

	xen_store_list(xen->store, "xvmc/migrate", take, &seen);
	off_unless(&seen, xen->self);
	xvmc_list_each(it, tmp, &xen->peers)
		off_unless(&seen, xvmc_list_entry(it, struct peer, node)->dom);
	if (xen->noticed)
		xen_store_list(xen->store, "data/xvmc", sweep, &seen);
	xen->noticed = seen.n > 0;
}
