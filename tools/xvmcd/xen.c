/* SPDX-License-Identifier: MIT */
/*
 * This guest: publishes itself, hears from dom0 who else is here, notices
 * when it has been migrated, and makes the control channels.
 *
 * All of it is one look at xenstore, whole, whenever a watch has fired: what
 * is there counts, not what has happened. After a resume every watch fires.
 */
#include "xen.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/reason.h"
#include "holder.h"
#include "match.h"
#include "peer.h"

#define VERSION "1"

/* ---- the holder ---- */

static int hold_own(void *arg, xvmc_port_t port, int fd)
{
	struct xen_mode *xen = arg;

	if (fd >= 0)
		return holder_hold(xen->holder, 0, port, fd);
	holder_drop(xen->holder, 0, port);
	return 0;
}

int xen_hold(struct agent *agent, uint32_t port, int fd)
{
	struct xen_mode *xen = agent->conn.d->xen;

	if (fd >= 0)
		return holder_hold(xen->holder, agent->number, port, fd);
	holder_drop(xen->holder, agent->number, port);
	return 0;
}

void xen_forget(struct agent *agent)
{
	holder_forget(agent->conn.d->xen->holder, agent->number);
}

/* ---- we have moved ---- */

static int who(struct xen_mode *xen)
{
	struct xvmc_hv_self self;
	int rc = xvmc_hv_self(xen->hv, &self);

	if (rc < 0)
		return rc;
	xen->domid = self.domid;
	xen->incarnation = self.incarnation;
	return 0;
}

/* From here on nothing that was shared with a peer is; TCP is. */
static void resumed(struct xen_mode *xen)
{
	struct xvmcd *d = xen->d;
	uint32_t old = xen->domid;

	if (who(xen) < 0)
		return;
	log_line("migrated: domid %u -> %u, incarnation %u", old, xen->domid, xen->incarnation);
	xen->self->domid = xen->domid;
	xen->self->incarnation = xen->incarnation;
	board_put(d, xen->self);
	migrate_say_finish(d, xen->self, xen->self->host, old);
	while (!xvmc_list_empty(&xen->peers))
		peer_gone(xvmc_list_entry(xen->peers.next, struct peer, node), XVMC_R_MIGRATE_SELF);
	migrate_off(d, xen->self);
	agents_vms(d);
}

/* ---- the control channel ---- */

static uint64_t number_new(void)
{
	uint64_t n = 0;

	while (n == 0)
		if (getrandom(&n, sizeof(n), 0) != sizeof(n))
			n = (uint64_t)getpid();
	return n;
}

/* Nobody may read it before the one it is for: it gets its text last. */
static int tell_peer(struct xen_mode *xen, const char *path, uint32_t domid, const char *text)
{
	int rc = xen_store_write(xen->store, path, "");

	if (rc == 0)
		rc = xen_store_permit(xen->store, path, xen->domid, domid);
	if (rc == 0)
		rc = xen_store_write(xen->store, path, text);
	if (rc < 0)
		store_trouble(xen, path, rc);
	return rc;
}

static void lead(struct peer *peer)
{
	struct xen_mode *xen = peer->xen;
	char path[96], text[XEN_STORE_TEXT];
	uint32_t grefs[CTL_PAGES], port;
	struct ctl *ctl;
	uint64_t ask;
	int rc, n;

	snprintf(path, sizeof(path), "/local/domain/%u/data/xvmc/ask-%u", peer->domid, xen->domid);
	if (xen_store_read(xen->store, path, text) < 0 || sscanf(text, "%" SCNx64, &ask) != 1 ||
	    ask == peer->ask)
		return;
	peer_down(peer, XVMC_R_PEER_LEFT);
	peer->ask = ask;
	rc = ctl_share(xen->hv, peer->domid, &ctl, grefs, &port);
	if (rc < 0) {
		peer->ask = 0;
		store_trouble(xen, "no control channel", rc);
		return;
	}
	n = snprintf(text, sizeof(text), "%" PRIx64 " %" PRIx64 " %u", ask, number_new(), port);
	for (unsigned int i = 0; i < CTL_PAGES; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, " %u", grefs[i]);
	snprintf(path, sizeof(path), "data/xvmc/ctl-%u", peer->domid);
	if (tell_peer(xen, path, peer->domid, text) < 0) {
		peer->ask = 0;
		ctl_free(ctl);
	} else {
		peer_up(peer, ctl);
	}
}

static int parse_offer(char *text, uint64_t *ask, uint64_t *offer, uint32_t *port, uint32_t *grefs)
{
	char *at;
	int used;

	if (sscanf(text, "%" SCNx64 " %" SCNx64 " %u%n", ask, offer, port, &used) != 3)
		return -EPROTO;
	at = text + used;
	for (unsigned int i = 0; i < CTL_PAGES; i++) {
		if (sscanf(at, "%u%n", &grefs[i], &used) != 1)
			return -EPROTO;
		at += used;
	}
	return 0;
}

static void follow(struct peer *peer)
{
	struct xen_mode *xen = peer->xen;
	char path[96], text[XEN_STORE_TEXT];
	uint32_t grefs[CTL_PAGES], port;
	uint64_t ask, offer;
	struct ctl *ctl;
	int rc;

	if (peer->ask == 0) {
		ask = number_new();
		snprintf(path, sizeof(path), "data/xvmc/ask-%u", peer->domid);
		snprintf(text, sizeof(text), "%" PRIx64, ask);
		if (tell_peer(xen, path, peer->domid, text) < 0)
			return;
		peer->ask = ask;
	}
	snprintf(path, sizeof(path), "/local/domain/%u/data/xvmc/ctl-%u", peer->domid, xen->domid);
	if (xen_store_read(xen->store, path, text) < 0 ||
	    parse_offer(text, &ask, &offer, &port, grefs) < 0 ||
	    ask != peer->ask || offer == peer->offered)
		return;
	peer_down(peer, XVMC_R_PEER_LEFT);
	peer->offered = offer;
	rc = ctl_map(xen->hv, peer->domid, grefs, port, &ctl);
	if (rc < 0)
		log_line("domain %s: its control channel cannot be used: %s", peer->dom->name, strerror(-rc));
	else
		peer_up(peer, ctl);
}

/* ---- who is here ---- */

struct seen {
	struct xen_mode *xen;
	bool changed;
	uint32_t n;
	uint32_t domid[XVMC_BOARD_DOMS];
};

static struct peer *peer_find(struct xen_mode *xen, uint32_t domid)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &xen->peers) {
		struct peer *peer = xvmc_list_entry(it, struct peer, node);

		if (peer->domid == domid)
			return peer;
	}
	return NULL;
}

static void leave(struct peer *peer)
{
	store_unwatch_peer(peer);
	peer_gone(peer, XVMC_R_MIGRATE_PEER);
}

static bool see(void *arg, const char *name)
{
	struct seen *seen = arg;
	struct xen_mode *xen = seen->xen;
	char path[64], text[XEN_STORE_TEXT], *end;
	unsigned long domid = strtoul(name, &end, 10);
	struct peer *peer = peer_find(xen, (uint32_t)domid);

	if (end == name || *end || domid == xen->domid || seen->n == XVMC_BOARD_DOMS)
		return true;
	snprintf(path, sizeof(path), "xvmc/peers/%lu", domid);
	if (xen_store_read(xen->store, path, text) < 0)
		return true;
	seen->domid[seen->n++] = (uint32_t)domid;
	if (peer && strcmp(peer->said, text) == 0)
		return true;
	seen->changed = true;
	if (peer)
		leave(peer);
	if (peer_new(xen, (uint32_t)domid, text) == 0)
		store_watch_peer(peer_find(xen, (uint32_t)domid));
	return true;
}

static bool look_around(struct xen_mode *xen)
{
	struct seen seen = { .xen = xen };
	struct xvmc_list *it, *tmp;
	int rc;

	rc = xen_store_list(xen->store, "xvmc/peers", see, &seen);
	/* Not known is not gone. */
	if (xen->lame || (rc < 0 && rc != -ENOENT && rc != -EACCES))
		return seen.changed;
	xvmc_list_each(it, tmp, &xen->peers) {
		struct peer *peer = xvmc_list_entry(it, struct peer, node);
		bool here = false;

		for (uint32_t i = 0; i < seen.n; i++)
			here = here || seen.domid[i] == peer->domid;
		if (here)
			continue;
		leave(peer);
		seen.changed = true;
	}
	return seen.changed;
}

/* ---- the look ---- */

/* What a guest writes below data does not travel with it. */
static void publish(struct xen_mode *xen)
{
	char text[XEN_STORE_TEXT];
	int rc;

	if (xen_store_read(xen->store, "data/xvmc/version", text) == 0 && strcmp(text, VERSION) == 0)
		return;
	rc = xen_store_write(xen->store, "data/xvmc/version", VERSION);
	if (rc < 0)
		store_trouble(xen, "this guest cannot be published", rc);
}

/* Each peer's channel, as far as it can be. */
static void channels(struct xen_mode *xen)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &xen->peers) {
		struct peer *peer = xvmc_list_entry(it, struct peer, node);

		if (peer->broken)
			peer_down(peer, XVMC_R_PEER_LEFT);
		else if (peer_quiet(peer))
			continue;
		else if (peer->leader)
			lead(peer);
		else
			follow(peer);
	}
}

static void look(struct timer *timer)
{
	struct xen_mode *xen = xvmc_list_entry(timer, struct xen_mode, look);

	if (xvmc_hv_incarnation(xen->hv) != xen->incarnation)
		resumed(xen);
	xen->again = false;
	if (store_usable(xen)) {
		publish(xen);
		if (look_around(xen))
			agents_vms(xen->d);
		notices_look(xen);
		channels(xen);
	}
	routes_settle(xen);
	store_looked(xen);
}

/* ---- start and end ---- */

int xen_open(struct xvmcd *d)
{
	struct xen_mode *xen = calloc(1, sizeof(*xen));
	pid_t pid;
	int rc;

	if (!xen)
		return -ENOMEM;
	xen->d = d;
	xvmc_list_init(&xen->peers);
	xvmc_list_init(&xen->routes);
	rc = xvmc_hv_open_xen(&xen->hv);
	if (rc == 0)
		rc = who(xen);
	if (rc == 0)
		rc = holder_start(xvmc_hv_xen_incarnation, &xen->holder, &pid);
	if (rc == 0)
		rc = xen_store_open(&xen->store);
	if (rc < 0) {
		xvmc_hv_close(xen->hv);
		free(xen);
		return rc;
	}
	xvmc_hv_xen_holder(xen->hv, hold_own, xen);
	d->xen = xen;
	return 0;
}

int xen_start(struct xvmcd *d)
{
	struct xen_mode *xen = d->xen;
	uint32_t host;
	int rc;

	rc = xvmc_lh_host(d->lh, d->opt.host, &host);
	if (rc == 0)
		rc = xvmc_lh_dom_create(d->lh, "guest", host, false, &xen->self);
	if (rc < 0)
		return rc;
	xen->self->self = true;
	xen->self->domid = xen->domid;
	xen->self->incarnation = xen->incarnation;
	board_put(d, xen->self);
	log_line("this guest is domid %u, incarnation %u", xen->domid, xen->incarnation);
	xen->look.fire = look;
	rc = nets_start(xen);
	if (rc < 0)
		log_line("no word of this guest's networks: %s", strerror(-rc));
	return store_start(xen);
}

void xen_stop(struct xvmcd *d)
{
	struct xvmc_list *it, *tmp;

	xen_store_remove(d->xen->store, "data/xvmc");
	xvmc_list_each(it, tmp, &d->xen->peers)
		peer_hang_up(xvmc_list_entry(it, struct peer, node));
}
