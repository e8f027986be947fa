/* SPDX-License-Identifier: MIT */
/*
 * recver_t [S 2]: the reading end of a ring, over pages the peer owns. The
 * data pages and the S-page are mapped read-only, the R-page read-write. From
 * one instruction to the next all of them may turn into 0xFF [X 3]: so every
 * copy is followed by a look at the nonce, and thrown away on a mismatch.
 *
 * Threads: one at a time; the caller holds the direction's rx lock.
 */
#ifndef XVMC_RECVER_H
#define XVMC_RECVER_H

#include "iov.h"
#include "ring.h"

struct recver_t {
	const struct xvmc_spage *s;
	struct xvmc_rpage *r;
	const uint8_t *data;
	uint64_t size;
	uint64_t cons; /* bytes copied out of the stream before now */
	uint64_t prod; /* the last prod that was checked */
	uint64_t rung; /* the last room_at we rang for */
	uint8_t nonce[XVMC_NONCE_LEN];
};

/*
 * Binds rx to mapped pages and checks the S-page's constant words against
 * what the offer said. -EPROTO: they disagree; -ESTALE: not the peer's pages.
 */
int xvmc_recver_init(struct recver_t *rx, const struct xvmc_spage *s,
		     struct xvmc_rpage *r, const uint8_t *data,
		     unsigned int order, const uint8_t nonce[XVMC_NONCE_LEN]);

/* The stream enters the ring at pos. */
void xvmc_recver_start(struct recver_t *rx, uint64_t pos);

/*
 * Bytes that may be read now. A fresh look only where fewer than want are
 * known. -ESTALE: the mapping is gone; -EPROTO: an impossible index.
 */
ssize_t xvmc_recver_avail(struct recver_t *rx, size_t want);

/*
 * Copies at most max bytes out. With peek they stay.
 * Returns how many (0: none), with *ret_ring set where the peer must be
 * notified. Errors as above; then nothing was consumed and whatever lies in
 * the caller's buffer is garbage.
 */
ssize_t xvmc_recver_read(struct recver_t *rx, struct xvmc_iov *it, size_t max,
			 bool peek, bool *ret_ring);

/* Says in the R-page that we sleep until want bytes are there, and looks
 * again. Returns true if there is no need to sleep. [protocol B3] */
bool xvmc_recver_arm(struct recver_t *rx, size_t want);

/*
 * Says in the R-page that we let go of the pages, and copies them to memory of
 * our own, which can take their place: with all bytes before the prod it has, and
 * with what is said of the sender there from before that. Who sleeps for data has
 * to look and arm again. -ESTALE: the mapping is gone, the copy is garbage.
 */
int xvmc_recver_copy(const struct recver_t *rx, struct xvmc_rpage *r,
		     struct xvmc_spage *s, uint8_t *data);

bool xvmc_recver_validate(const struct recver_t *rx);

#endif
