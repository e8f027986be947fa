/* SPDX-License-Identifier: MIT */
/*
 * xvmcd in a Xen guest, the inside: this guest (xen.c), its peers and what
 * they say (peer.c), xenstore's quotas (store.c), where each connection of our
 * processes is matched (route.c), the networks it is on (nets.c), and migrations
 * (notice.c).
 *
 * Of two guests the one with the lower domid leads: its matcher brings the
 * connections between the two together. The other one's xvmcd, the follower,
 * passes on what its processes say of these connections, and passes back what
 * they are told. In the leader a process of the follower's is a proxy: an
 * agent whose packets go over the control channel.
 */
#ifndef XVMCD_PEER_H
#define XVMCD_PEER_H

#include "ctl.h"
#include "hv/hv.h"
#include "hv/xen-store.h"
#include "xvmcd.h"

struct xen_mode {
	struct xvmcd *d;
	struct xvmc_hv *hv;
	struct xen_store *store;
	struct watch store_watch;
	struct timer look; /* at the store, soon */
	struct watch nets_watch;
	struct xvmc_lh_dom *self;
	uint32_t domid, incarnation;
	int holder; /* its socket */
	struct xvmc_list peers, routes;
	bool noticed; /* a migration is under way */
	uint32_t nwatches, watches_max; /* of peers; what the quota allows */
	bool lame;     /* the store's handle is broken, or lacks watches */
	bool again;    /* something of this look is to be done again */
	bool troubled; /* and the log says so */
};

/* Another guest of this host, by dom0's word. */
struct peer {
	struct xvmc_list node;
	struct xen_mode *xen;
	uint32_t domid;
	char said[XEN_STORE_TEXT]; /* dom0's words: name, addresses */
	struct xvmc_lh_dom *dom;
	bool leader;   /* we are */
	bool watched;  /* what it writes in xenstore */
	uint64_t ask;  /* the follower's number for the channel it wants; 0: not said */
	uint64_t offered; /* the leader's, for the one there is */
	struct watch bell; /* of ctl */
	struct timer more; /* there is more to read than was read at once */
	struct ctl *ctl;   /* NULL: none */
	bool broken;       /* it talked nonsense: no more of it */
	struct xvmc_list proxies; /* struct agent, by conn.node */
	uint32_t nproxies;
};

/* One registration of a process of ours. */
struct route {
	struct xvmc_list node;
	struct agent *agent;
	struct xvmc_ag_register reg;
	struct peer *peer; /* where it is matched; NULL: here */
	uint64_t link;     /* there */
};

/* ---- peer.c ---- */

int peer_new(struct xen_mode *xen, uint32_t domid, const char *said);
/* reason: why its connections end. */
void peer_gone(struct peer *peer, uint32_t reason);
struct peer *peer_by_addr(struct xen_mode *xen, const struct in6_addr *ip);
/* The channel is there, or must go. */
void peer_up(struct peer *peer, struct ctl *ctl);
void peer_down(struct peer *peer, uint32_t reason);
/* xvmcd ends: the channel goes, what is linked goes on. */
void peer_hang_up(struct peer *peer);
/* To the other xvmcd about a process of ours, or to one of its processes. */
void peer_send(struct peer *peer, uint32_t agent, const void *msg, size_t len);

/* For as long as one of the two is about to be suspended: no channel, and no
 * connection may be linked. */
bool peer_quiet(const struct peer *peer);

/* ---- store.c ---- */

/* Watches; where there are too few, the look will try again. -ENOMEM. */
int store_start(struct xen_mode *xen);
/* What the peer writes for us; where no watch is left, the look finds it. -errno:
 * the handle is lost over it. */
int store_watch_peer(struct peer *peer);
void store_unwatch_peer(struct peer *peer);
/* Before a look: is there a handle? Opens another one if there must be. */
bool store_usable(struct xen_mode *xen);
/* Something could not be done: said once, and the look comes again. */
void store_trouble(struct xen_mode *xen, const char *what, int rc);
/* After a look: there is another one in a second if anything is left to be done. */
void store_looked(struct xen_mode *xen);

/* ---- nets.c ---- */

/* Keeps the board's networks those of this guest. */
int nets_start(struct xen_mode *xen);

/* ---- notice.c ---- */

/* What dom0 says of migrations now. */
void notices_look(struct xen_mode *xen);

/* ---- route.c ---- */

/* Each connection is matched where it belongs now. */
void routes_settle(struct xen_mode *xen);
/* A new channel: the leader hears of all that is its. */
void routes_tell(struct peer *peer);
/* The peer is gone: they wait here for another. */
void routes_lose(struct peer *peer, uint32_t reason);
/* What the leader says to a process of ours. */
void routes_back(struct peer *peer, uint32_t number, void *msg, size_t len);

#endif
