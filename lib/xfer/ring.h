/* SPDX-License-Identifier: MIT */
/*
 * The only place that touches the words two guests share. Every access is
 * one C11 atomic with its partner named; what a peer wrote is returned as a
 * private copy and must be range-checked by the caller before use.
 *
 * The barriers, numbered as in docs/protocol.md:
 *   B1 publish/see_prod: bytes are in the ring before prod says so.
 *   B2 release/see_cons: bytes are copied out before cons says so.
 *   B3 arm/after_publish, arm/after_release: a full fence on both sides, so
 *      that either the sleeper sees the new index or the other side sees
 *      the sleeper. Leaving one out loses wake-ups (tests/model/wake.pml).
 *   B4 nonce_matches: the copy is complete before the nonce is read again.
 *   B5 announce/acknowledge/cancel: the announcement's words are written
 *      before the state; one compare-and-swap decides.
 *   B6 say_left/see_left: the record is in TCP before left says so.
 */
#ifndef XVMC_RING_H
#define XVMC_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "xvmc/abi.h"

static inline uint64_t ring_load64(const uint64_t *word, memory_order order)
{
	return atomic_load_explicit((const _Atomic uint64_t *)word, order);
}

static inline void ring_store64(uint64_t *word, uint64_t val, memory_order order)
{
	atomic_store_explicit((_Atomic uint64_t *)word, val, order);
}

/* B1, sender: everything before pos may be read. Pairs with ring_see_prod. */
static inline void ring_publish(struct xvmc_spage *s, uint64_t pos)
{
	ring_store64(&s->prod, pos, memory_order_release);
}

/* B1, receiver: pairs with ring_publish. */
static inline uint64_t ring_see_prod(const struct xvmc_spage *s)
{
	return ring_load64(&s->prod, memory_order_acquire);
}

/* B2, receiver: everything before pos may be overwritten. Pairs with
 * ring_see_cons. */
static inline void ring_release(struct xvmc_rpage *r, uint64_t pos)
{
	ring_store64(&r->cons, pos, memory_order_release);
}

/* B2, sender: pairs with ring_release. */
static inline uint64_t ring_see_cons(const struct xvmc_rpage *r)
{
	return ring_load64(&r->cons, memory_order_acquire);
}

/* B3, receiver: I sleep until prod >= at. The caller looks at prod again
 * afterwards. Pairs with ring_data_at_after_publish. */
static inline void ring_arm_data(struct xvmc_rpage *r, uint64_t at)
{
	ring_store64(&r->data_at, at, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

static inline void ring_disarm_data(struct xvmc_rpage *r)
{
	ring_store64(&r->data_at, 0, memory_order_relaxed);
}

/* B3, receiver: I let go of these pages, so that what is published from now on I
 * may not see. Then it looks at prod once more. Pairs with
 * ring_data_at_after_publish: either that sees this, or we see the bytes. */
static inline void ring_forsake(struct xvmc_rpage *r)
{
	ring_arm_data(r, XVMC_POS_NONE);
}

/* B3, sender, after ring_publish: pairs with ring_arm_data, ring_forsake. */
static inline uint64_t ring_data_at_after_publish(const struct xvmc_rpage *r)
{
	atomic_thread_fence(memory_order_seq_cst);
	return ring_load64(&r->data_at, memory_order_relaxed);
}

/* B3, sender: I sleep until cons >= at. Pairs with
 * ring_room_at_after_release. */
static inline void ring_arm_room(struct xvmc_spage *s, uint64_t at)
{
	ring_store64(&s->room_at, at, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst);
}

static inline void ring_disarm_room(struct xvmc_spage *s)
{
	ring_store64(&s->room_at, 0, memory_order_relaxed);
}

/* B3, receiver, after ring_release: pairs with ring_arm_room. */
static inline uint64_t ring_room_at_after_release(const struct xvmc_spage *s)
{
	atomic_thread_fence(memory_order_seq_cst);
	return ring_load64(&s->room_at, memory_order_relaxed);
}

/* B4, receiver, after a copy out of the data pages: are these still the
 * peer's pages? A migrated guest's mapping reads as 0xFF [X 3]. */
static inline bool ring_nonce_matches(const struct xvmc_spage *s,
				      const uint8_t nonce[XVMC_NONCE_LEN])
{
	const uint64_t *now = (const uint64_t *)(const void *)s->nonce;
	uint64_t want[2];

	atomic_thread_fence(memory_order_acquire);
	memcpy(want, nonce, sizeof(want));
	return ring_load64(&now[0], memory_order_relaxed) == want[0] &&
	       ring_load64(&now[1], memory_order_relaxed) == want[1];
}

static inline uint64_t ring_ann_word(uint32_t epoch, enum xvmc_ann_state state)
{
	return (uint64_t)epoch << 32 | (uint64_t)state;
}

/* What an announcement says. */
struct ring_announcement {
	uint64_t pos;
	uint64_t rcvd;
	uint32_t epoch;
};

/* B5, sender: announce. Pairs with ring_see_announcement. */
static inline void ring_announce(struct xvmc_spage *s, struct xvmc_rpage *r,
				 const struct ring_announcement *ann)
{
	ring_store64(&s->ann_pos, ann->pos, memory_order_relaxed);
	ring_store64(&s->ann_rcvd, ann->rcvd, memory_order_relaxed);
	atomic_store_explicit((_Atomic uint32_t *)&s->ann_epoch, ann->epoch,
			      memory_order_relaxed);
	ring_store64(&r->announce,
		     ring_ann_word(ann->epoch, XVMC_ANN_ANNOUNCED),
		     memory_order_release);
}

/* B5, receiver: the outstanding announcement, if there is one. Pairs with
 * ring_announce. */
static inline bool ring_see_announcement(const struct xvmc_spage *s,
					 const struct xvmc_rpage *r,
					 struct ring_announcement *ret_ann)
{
	uint64_t word = ring_load64(&r->announce, memory_order_acquire);

	if ((word & 0xffffffffu) != XVMC_ANN_ANNOUNCED)
		return false;
	ret_ann->epoch = (uint32_t)(word >> 32);
	ret_ann->pos = ring_load64(&s->ann_pos, memory_order_relaxed);
	ret_ann->rcvd = ring_load64(&s->ann_rcvd, memory_order_relaxed);
	return atomic_load_explicit((const _Atomic uint32_t *)&s->ann_epoch,
				    memory_order_relaxed) == ret_ann->epoch;
}

/* B5: decides an announcement, once: receiver to ACKED, sender to CANCELLED.
 * True if this call decided it. Each pairs with the other. */
static inline bool ring_decide(struct xvmc_rpage *r, uint32_t epoch,
			       enum xvmc_ann_state to)
{
	uint64_t want = ring_ann_word(epoch, XVMC_ANN_ANNOUNCED);

	return atomic_compare_exchange_strong_explicit(
		(_Atomic uint64_t *)&r->announce, &want,
		ring_ann_word(epoch, to), memory_order_acq_rel,
		memory_order_acquire);
}

/* B5, either side: the state of this announcement now. */
static inline enum xvmc_ann_state ring_ann_state(const struct xvmc_rpage *r,
						 uint32_t epoch)
{
	uint64_t word = ring_load64(&r->announce, memory_order_acquire);

	if ((uint32_t)(word >> 32) != epoch || (word & 0xffffffffu) > 3)
		return XVMC_ANN_NONE;
	return (enum xvmc_ann_state)(word & 3);
}

/* B6, sender, after the record of this epoch was given to TCP: what follows is
 * there. Pairs with ring_see_left. */
static inline void ring_say_left(struct xvmc_spage *s, uint32_t epoch)
{
	atomic_store_explicit((_Atomic uint32_t *)&s->left, epoch, memory_order_release);
}

/* B6, receiver: the epoch of the last record to TCP; only a reason to look
 * there. Pairs with ring_say_left. */
static inline uint32_t ring_see_left(const struct xvmc_spage *s)
{
	return atomic_load_explicit((const _Atomic uint32_t *)&s->left,
				    memory_order_acquire);
}

/* Set-up, receiver: are these pages as the offer said? What they must say is in
 * them since before they were offered. */
static inline bool ring_is_as_offered(const struct xvmc_spage *s, unsigned int order)
{
	return s->magic == XVMC_SPAGE_MAGIC && s->version == XVMC_ABI_VERSION &&
	       s->order == order;
}

/* Set-up, sender: before the pages are offered. */
static inline void ring_set_owner(struct xvmc_rpage *r, enum xvmc_owner owner)
{
	atomic_store_explicit((_Atomic uint8_t *)&r->owner, (uint8_t)owner,
			      memory_order_relaxed);
}

/* Receiver: is the owner of these pages, as they are mapped here, known to
 * have died? Acquire: what it published before is seen by the next look. */
static inline uint8_t ring_owner(const struct xvmc_rpage *r)
{
	return atomic_load_explicit((const _Atomic uint8_t *)&r->owner,
				    memory_order_acquire);
}

/* Set-up, receiver: it has mapped the pages. Before it rings the sender, who takes
 * what has rung before it looks. */
static inline void ring_start_reading(struct xvmc_rpage *r)
{
	atomic_store_explicit((_Atomic uint8_t *)&r->alive, 1, memory_order_release);
}

/* Receiver: it will read no more, for its program has closed. Pairs with
 * ring_reader_lives. */
static inline void ring_stop_reading(struct xvmc_rpage *r)
{
	atomic_store_explicit((_Atomic uint8_t *)&r->alive, 0, memory_order_release);
}

/* Sender: does the receiver still read? After our guest has migrated this may
 * be old, and then means nothing. Acquire, pairs with ring_stop_reading: what
 * the receiver consumed before is seen by the next look. */
static inline bool ring_reader_lives(const struct xvmc_rpage *r)
{
	return atomic_load_explicit((const _Atomic uint8_t *)&r->alive,
				    memory_order_acquire) != 0;
}

#endif
