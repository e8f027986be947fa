/* SPDX-License-Identifier: MIT */
/*
 * This guest's xenstore when a quota is used up [X 6]. What cannot be said is said
 * again every second. A watch too many breaks the handle for good: another one is
 * opened, and the peers for whom there is no watch are looked at every second.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/os.h"
#include "peer.h"

#define LOOK_DELAY (20ull * MS)
#define AGAIN_DELAY (1000ull * MS)

void store_trouble(struct xen_mode *xen, const char *what, int rc)
{
	if (!xen->troubled)
		log_line("xenstore: %s: %s; from now on tried every second", what, strerror(-rc));
	xen->troubled = xen->again = true;
}

static void path_of(const struct peer *peer, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "/local/domain/%u/data/xvmc/%s-%u", peer->domid,
		 peer->leader ? "ask" : "ctl", peer->xen->domid);
}

int store_watch_peer(struct peer *peer)
{
	struct xen_mode *xen = peer->xen;
	char path[96];
	int rc;

	if (xen->lame || xen->nwatches >= xen->watches_max)
		return 0;
	path_of(peer, path, sizeof(path));
	rc = xen_store_watch(xen->store, path);
	if (rc < 0) {
		xen->watches_max = xen->nwatches;
		xen->lame = true;
		return rc;
	}
	peer->watched = true;
	xen->nwatches++;
	return 0;
}

void store_unwatch_peer(struct peer *peer)
{
	char path[96];

	if (!peer->watched)
		return;
	path_of(peer, path, sizeof(path));
	xen_store_unwatch(peer->xen->store, path);
	peer->watched = false;
	peer->xen->nwatches--;
}

static void fired(struct watch *watch, uint32_t events)
{
	struct xen_mode *xen = xvmc_list_entry(watch, struct xen_mode, store_watch);
	uint64_t delay = LOOK_DELAY;

	(void)events;
	/* Nothing: then the handle may be broken, as the look will find. */
	xen_store_fired(xen->store);
	/* A migration is not to be waited for. But not from in here: the look
	 * frees peers, whose bells may be in this batch of events, too. */
	if (xvmc_hv_incarnation(xen->hv) != xen->incarnation)
		delay = 0;
	if (xen->look.pos == 0 || xen->look.at > os_now_ns() + delay)
		loop_arm(xen->d->loop, &xen->look, delay);
}

static int watch_all(struct xen_mode *xen)
{
	static const char *const own[] = { "domid", "xvmc/peers", "xvmc/migrate" };
	struct xvmc_list *it, *tmp;
	int rc = 0;

	xen->nwatches = 0;
	xvmc_list_each(it, tmp, &xen->peers)
		xvmc_list_entry(it, struct peer, node)->watched = false;
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]) && rc == 0; i++)
		rc = xen_store_watch(xen->store, own[i]);
	xen->lame = rc < 0;
	xvmc_list_each(it, tmp, &xen->peers)
		if (rc == 0)
			rc = store_watch_peer(xvmc_list_entry(it, struct peer, node));
	if (rc < 0)
		return rc;
	xen->store_watch = (struct watch){ .fd = xen_store_fd(xen->store), .ready = fired };
	rc = loop_add(xen->d->loop, &xen->store_watch, EPOLLIN);
	if (rc < 0)
		xen->store_watch.ready = NULL;
	xen->lame = rc < 0;
	return rc;
}

int store_start(struct xen_mode *xen)
{
	int rc;

	xen->watches_max = UINT32_MAX;
	rc = watch_all(xen);
	if (rc == 0)
		return 0;
	store_trouble(xen, "no watch can be had", rc);
	return loop_arm(xen->d->loop, &xen->look, 0);
}

static int open_anew(struct xen_mode *xen)
{
	struct xen_store *store;
	int rc;

	/* One that is broken may be readable for ever. */
	if (xen->store_watch.ready)
		loop_del(xen->d->loop, &xen->store_watch);
	xen->store_watch.ready = NULL;
	rc = xen_store_open(&store);
	if (rc < 0)
		return rc;
	xen_store_close(xen->store);
	xen->store = store;
	return watch_all(xen);
}

bool store_usable(struct xen_mode *xen)
{
	char text[XEN_STORE_TEXT];
	int rc = -EIO;

	if (!xen->lame && xen_store_read(xen->store, "domid", text) == 0)
		return true;
	rc = open_anew(xen);
	if (rc < 0) {
		xen->lame = true;
		store_trouble(xen, "no watch or no handle can be had", rc);
	}
	return rc == 0;
}

void store_looked(struct xen_mode *xen)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &xen->peers)
		if (!xvmc_list_entry(it, struct peer, node)->watched)
			xen->again = true;
	if (xen->again || xen->lame) {
		loop_arm(xen->d->loop, &xen->look, AGAIN_DELAY);
		return;
	}
	if (xen->troubled)
		log_line("xenstore: all is said, and heard of");
	xen->troubled = false;
}
