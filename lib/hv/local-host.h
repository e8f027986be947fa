/* SPDX-License-Identifier: MIT */
/*
 * The machine the local backend pretends to be: hosts, the domains on them,
 * who granted which pages to whom, and event channels. Pure data: no socket,
 * no clock, no thread; descriptors are only kept and closed. xvmcd owns one
 * and answers hypercalls from it; what goes over the wire is local-wire.h.
 *
 * Threads: one. fork: of no use in a child. migration: it is what plays it.
 *
 * Errors as in hv.h: -ENOSPC out of grants (or domains), -ENOBUFS out of
 * event channels, -EACCES not granted to that domain, -ENOENT no such domain
 * on this host, grant or port, -ENOMEM.
 */
#ifndef XVMC_LOCAL_HOST_H
#define XVMC_LOCAL_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "xvmc/agent.h"

struct xvmc_lh;

struct xvmc_lh_limits {
	uint32_t max_grants; /* pages granted by one domain; its mappings */
	uint32_t max_ports;  /* event channels of one domain */
};

struct xvmc_lh_dom {
	struct xvmc_list node;    /* of all domains */
	struct xvmc_list clients; /* struct xvmc_lh_client */
	char name[XVMC_NAME_MAX];
	uint32_t domid;
	uint32_t incarnation;
	uint32_t host;   /* index, for xvmc_lh_host_name */
	uint32_t slot;   /* in the board */
	bool automatic;  /* may be dropped when unused and room is needed */
	bool self;       /* Xen: the guest we are in */
	bool suspending; /* the caller's: between prepare and the instant */
	uint32_t users;  /* clients, and what else xvmc_lh_dom_use counted */
	uint32_t ngrants, nmaps, nports;
	uint32_t naddrs;
	struct in6_addr addr[XVMC_ADDRS_MAX];
};

/* One process, as the hypervisor sees it. */
struct xvmc_lh_client {
	struct xvmc_list node; /* of dom->clients */
	struct xvmc_lh_dom *dom;
	struct xvmc_list grants, maps, ports;
};

/* What a map call is answered with. */
struct xvmc_lh_mapping {
	uint32_t number;
	uint32_t offset; /* of the first page in the memfd, pages */
	int fd;          /* stays the machine's: pass it on at once */
};

/* What an alloc or bind call is answered with. */
struct xvmc_lh_channel {
	uint32_t port;
	uint32_t peer_slot;
	int fds[2]; /* own eventfd, the peer's */
};

int xvmc_lh_new(const struct xvmc_lh_limits *limits, struct xvmc_lh **ret_lh);
void xvmc_lh_free(struct xvmc_lh *lh);

/* ---- hosts and domains ---- */

/* A NUL-terminated name of [A-Za-z0-9_.-], at least one character. */
bool xvmc_lh_name_ok(const char name[XVMC_NAME_MAX]);

/* The index of a host, made if it is new. */
int xvmc_lh_host(struct xvmc_lh *lh, const char *name, uint32_t *ret_host);
const char *xvmc_lh_host_name(const struct xvmc_lh *lh, uint32_t host);

/* -EEXIST; -ENOSPC: XVMC_BOARD_DOMS of them are in use. */
int xvmc_lh_dom_create(struct xvmc_lh *lh, const char *name, uint32_t host,
		       bool automatic, struct xvmc_lh_dom **ret_dom);

/* Takes over a domain from the board of an earlier xvmcd. -EINVAL: the entry
 * makes no sense; -EEXIST. */
int xvmc_lh_dom_recover(struct xvmc_lh *lh, uint32_t slot,
			const struct xvmc_board_dom *entry);

struct xvmc_lh_dom *xvmc_lh_dom_by_name(struct xvmc_lh *lh, const char *name);
struct xvmc_lh_dom *xvmc_lh_dom_by_slot(struct xvmc_lh *lh, uint32_t slot);

/* The next domid to be given out; it never goes back. */
uint32_t xvmc_lh_next_domid(const struct xvmc_lh *lh);
void xvmc_lh_skip_domids(struct xvmc_lh *lh, uint32_t next_domid);

/* A domain with users is not dropped for want of room. */
void xvmc_lh_dom_use(struct xvmc_lh_dom *dom);
void xvmc_lh_dom_unuse(struct xvmc_lh *lh, struct xvmc_lh_dom *dom);

/* An automatic domain without users, the longest unused one, or NULL. */
struct xvmc_lh_dom *xvmc_lh_dom_unused(struct xvmc_lh *lh);

/* The instant of a migration: a new domid, a higher incarnation, another
 * host; its grants and channels are no more, nobody's byte is cleared. */
void xvmc_lh_dom_move(struct xvmc_lh *lh, struct xvmc_lh_dom *dom,
		      uint32_t host);

/* Ends a domain that has no clients any more. */
void xvmc_lh_dom_destroy(struct xvmc_lh *lh, struct xvmc_lh_dom *dom);

/* What the board says of a domain. */
void xvmc_lh_dom_entry(const struct xvmc_lh *lh, const struct xvmc_lh_dom *dom,
		       struct xvmc_board_dom *ret_entry);

/* ---- a process's calls ---- */

void xvmc_lh_client_init(struct xvmc_lh_client *client,
			 struct xvmc_lh_dom *dom);

/* The process has ended: what it had goes, the bytes it asked for are
 * cleared. */
void xvmc_lh_client_end(struct xvmc_lh *lh, struct xvmc_lh_client *client);

/* Takes fd over on success. */
int xvmc_lh_grant(struct xvmc_lh *lh, struct xvmc_lh_client *client,
		  uint32_t peer, uint32_t npages, bool writable, int fd,
		  uint32_t *ret_gref);
int xvmc_lh_ungrant(struct xvmc_lh *lh, struct xvmc_lh_client *client,
		    uint32_t gref);

/* The byte of a writable grant that is cleared when the client ends before
 * its domain has moved. */
int xvmc_lh_owner_clear(struct xvmc_lh *lh, struct xvmc_lh_client *client,
			uint32_t gref, uint32_t byte);

/* clear_byte: offset in the mapped pages, or UINT64_MAX. */
int xvmc_lh_map(struct xvmc_lh *lh, struct xvmc_lh_client *client,
		uint32_t granter, uint32_t gref, uint32_t npages,
		bool writable, uint64_t clear_byte,
		struct xvmc_lh_mapping *ret_mapping);
int xvmc_lh_unmap(struct xvmc_lh *lh, struct xvmc_lh_client *client,
		  uint32_t number, bool clear);

/* Takes both eventfds over on success: the caller's own first. ret_channel
 * shows them; they stay the machine's until the peer binds. */
int xvmc_lh_chan_alloc(struct xvmc_lh *lh, struct xvmc_lh_client *client,
		       uint32_t peer, const int fds[2],
		       struct xvmc_lh_channel *ret_channel);

/* ret_channel's descriptors are the caller's from now on. */
int xvmc_lh_chan_bind(struct xvmc_lh *lh, struct xvmc_lh_client *client,
		      uint32_t peer, uint32_t peer_port,
		      struct xvmc_lh_channel *ret_channel);
int xvmc_lh_chan_close(struct xvmc_lh *lh, struct xvmc_lh_client *client,
		       uint32_t port);

#endif
