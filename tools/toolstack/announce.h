/* SPDX-License-Identifier: MIT */
/*
 * dom0's word to the guests about one migration by the toolstack, and their
 * answers [S 6]: that it has begun, that the guest is about to be suspended,
 * that it is over. The nodes are in tools/xvmcd/xen.h. Not the migration
 * itself, which is xl's.
 *
 * Threads: one. fork: none. migration: this is dom0.
 */
#ifndef XVMC_TOOLSTACK_ANNOUNCE_H
#define XVMC_TOOLSTACK_ANNOUNCE_H

#include <stdbool.h>
#include <stdint.h>

#include "hv/xen-store.h"

#define ANNOUNCE_GUESTS_MAX 1024u

struct announce {
	struct xen_store *store;
	uint32_t mover;  /* domid */
	char number[17]; /* of this migration: random, hexadecimal */
	uint32_t n;      /* guests that have been told */
	uint32_t guest[ANNOUNCE_GUESTS_MAX];
};

/* Nobody hears of it yet. */
void announce_new(struct announce *a, uint32_t mover);

/* Tells all guests that run xvmcd, the mover among them. The store is needed
 * until after announce_prepare. */
void announce_begin(struct announce *a, struct xen_store *store);

/* Asks them to leave what a suspended mover would be in, and waits until all
 * have answered, at most so long. Returns how many have not: they migrate
 * unprepared. */
uint32_t announce_prepare(struct announce *a, uint32_t wait_ms);

/* It is over, however: what was said is taken back. By another process, too,
 * which knows only what announce_new has made, and has a store of its own. */
void announce_end(struct announce *a, struct xen_store *store);

#endif
