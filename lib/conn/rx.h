/* SPDX-License-Identifier: MIT */
/*
 * What the four files of the receiving side share; rx.lock held throughout.
 */
#ifndef XVMC_CONN_RX_H
#define XVMC_CONN_RX_H

#include "conn.h"

/* ---- rx-raw.c ---- */

/* recv on the kernel's socket: a count, 0 for the end, or -errno. */
ssize_t rx_take(struct conn_t *c, const struct iovec *vec, size_t cnt, bool peek);
/* The next n bytes without taking them: how many are there, or if none 0 (end)
 * or -errno. *ret_end: the stream ends within the n. */
ssize_t rx_peek(struct conn_t *c, void *buf, size_t n, bool *ret_end);
/* Takes bytes that were peeked at, and are ours. */
void rx_drop(struct conn_t *c, size_t n);
/* TCP has failed with -errno; or the stream has, for a reason of ours; or the
 * ring's mapping shows the peer's pages no more. */
void rx_error(struct conn_t *c, int err);
void rx_reset(struct conn_t *c, enum xvmc_reason why);
void rx_gone(struct conn_t *c, enum xvmc_reason why);

/* ---- switch-rx.c ---- */

/* At the expected position: is this the record, or the application's bytes?
 * 1: entered the ring; 0: the application's; -EAGAIN: not all there. */
int rx_at_expected(struct conn_t *c);
/* Throws away replayed bytes we already have. 0: all of them (or the ring has
 * taken over); else as recv. */
int rx_discard(struct conn_t *c);
/* The end of TCP inside a replay. 0: nothing is missing; 1: the ring has it;
 * -ECONNRESET. */
int rx_cut_replay(struct conn_t *c);

/* ---- rx-read.c ---- */

/* TCP has ended without a record. 1: the sender died, and here, so that all it
 * published shows; 0: the word may still come; -1: there is no proof. */
int rx_sender_died(struct conn_t *c);
/* The next bytes of the stream, by the one way that is current: as recv. */
ssize_t rx_read_stream(struct conn_t *c, struct xvmc_iov *it, bool peek);
/* What lies before the stream, being taken off TCP for a peek: a count or 0. */
ssize_t rx_read_front(struct conn_t *c, struct xvmc_iov *it, bool peek);
/* Has the sender gone on elsewhere? True: it pays to read again. */
bool rx_follow(struct conn_t *c);
/* An error behind bytes that were read. */
void rx_keep_for_next(struct conn_t *c, ssize_t r);

/* ---- rx-peek.c ---- */

/* All that there is, across records, without taking it: as recv. */
ssize_t rx_peek_all(struct conn_t *c, struct xvmc_iov *it);

#endif
