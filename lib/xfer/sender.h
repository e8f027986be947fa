/* SPDX-License-Identifier: MIT */
/*
 * sender_t [S 2]: the writing end of a ring. It owns all pages; the peer may
 * alter only the R-page. All truth is in the private fields: what the peer
 * wrote (cons, data_at) is read once, checked, and used as a copy.
 *
 * Threads: one at a time; the caller holds the direction's tx lock.
 * fork: a child must not touch it (the pages do not exist there).
 * Migration: the pages stay valid memory; nobody reads them any more.
 */
#ifndef XVMC_SENDER_H
#define XVMC_SENDER_H

#include "iov.h"
#include "ring.h"

struct sender_t {
	struct xvmc_spage *s;
	struct xvmc_rpage *r;
	uint8_t *data;
	uint64_t size;  /* of the data pages, a power of two */
	uint64_t prod;  /* bytes handed to the stream before now */
	uint64_t known; /* the last cons that was checked; prod - size <= known <= prod */
	uint64_t rung;  /* the last data_at we rang for */
	bool forsaken;  /* the reader has let go of the pages: it reads TCP alone */
	uint8_t nonce[XVMC_NONCE_LEN];
};

/*
 * Binds tx to fresh zeroed pages and writes the S-page's constant words.
 * order: log2 of the number of data pages.
 */
void xvmc_sender_init(struct sender_t *tx, struct xvmc_spage *s,
		      struct xvmc_rpage *r, uint8_t *data, unsigned int order,
		      const uint8_t nonce[XVMC_NONCE_LEN]);

/* The stream enters the ring at pos: the ring is empty from there on. */
void xvmc_sender_start(struct sender_t *tx, uint64_t pos);

/* Takes a fresh look at cons. -EPROTO: the peer wrote an impossible one. */
int xvmc_sender_look(struct sender_t *tx);

/*
 * Free bytes in the ring, looking at cons only if fewer than want are known
 * to be free. -EPROTO as above.
 */
ssize_t xvmc_sender_room(struct sender_t *tx, size_t want);

/*
 * Copies at most max bytes in and publishes them. Returns how many (0: no
 * room), with *ret_ring set where the peer must be notified. -EPROTO as above.
 */
ssize_t xvmc_sender_write(struct sender_t *tx, struct xvmc_iov *it, size_t max,
			  bool *ret_ring);

/* Says in the S-page that we sleep until want bytes (at most half the ring)
 * are free, and looks again. Returns true if that many are free now, so that
 * there is no need to sleep. [protocol B3] */
bool xvmc_sender_arm(struct sender_t *tx, size_t want);

/* The invariants, for tests. */
bool xvmc_sender_validate(const struct sender_t *tx);

#endif
