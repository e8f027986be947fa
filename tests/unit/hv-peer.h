/* SPDX-License-Identifier: MIT */
/*
 * The other guest in the contract's tests: one handle, at most one mapping and
 * one channel at a time. With the local backend it is in this process. With
 * Xen it is a process in another guest (`test-hv --peer PORT` there, and
 * XVMC_TEST_PEER=ADDRESS:PORT here), because a guest cannot map what it has
 * granted to itself.
 */
#ifndef XVMC_TEST_HV_PEER_H
#define XVMC_TEST_HV_PEER_H

#include "hv/hv.h"

#define PEER_GREFS 16u
#define PEER_BYTES 32768u

/* The peer's side of things, wherever it is. */
struct peer_side {
	struct xvmc_hv *hv;
	struct xvmc_map map;
	struct xvmc_chan chan;
};

struct peer {
	struct peer_side side; /* in this process ... */
	int sock;              /* ... or behind this socket; -1 */
	uint32_t owner;        /* our domid, which the peer maps from */
};

/* What the peer's hypervisor says of it. */
void peer_self(struct peer *p, struct xvmc_hv_self *ret_self);

int peer_map(struct peer *p, const xvmc_gref_t *grefs, size_t n, bool writable,
	     size_t clear_byte);
void peer_unmap(struct peer *p);
/* A look at one page, without a mapping. */
int peer_copy(struct peer *p, xvmc_gref_t gref, size_t at, void *ret_buf, size_t len);
/* Bytes of the mapping. */
void peer_read(struct peer *p, size_t at, void *buf, size_t len);
void peer_write(struct peer *p, size_t at, const void *buf, size_t len);
/* Makes the mapping writable and writes: 0, or an error if either fails. */
int peer_force(struct peer *p);

int peer_bind(struct peer *p, xvmc_port_t port);
void peer_close(struct peer *p);
void peer_notify(struct peer *p);
bool peer_readable(struct peer *p, int ms);
void peer_ack(struct peer *p);

/* What is mapped becomes memory of its own; the channel's port is given back. */
int peer_keep(struct peer *p);
void peer_hush(struct peer *p);

/* Connects to XVMC_TEST_PEER. -ENOENT: it is not set. */
int peer_connect(struct peer *p);
/* Serves until it is killed. */
int peer_serve(const char *port);

#endif
