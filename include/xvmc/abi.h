/* SPDX-License-Identifier: MIT */
/*
 * What two guests agree on: the pages of a ring, the switch record that
 * travels in the TCP stream, and the set-up messages of [S 3].
 *
 * Nothing here is private to a process; every offset is fixed by a
 * static_assert. All words are little-endian. docs/protocol.md explains the
 * order in which they are written and read. What a process says to its own
 * xvmcd is in agent.h, not here.
 */
#ifndef XVMC_ABI_H
#define XVMC_ABI_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define XVMC_ABI_VERSION 2u
#define XVMC_PAGE_SIZE 4096u
#define XVMC_NONCE_LEN 16u

#define XVMC_RING_ORDER_MIN 0u /* 1 data page: 4 KiB */
#define XVMC_RING_ORDER_MAX 8u /* 256 data pages: 1 MiB */

#define XVMC_SPAGE_MAGIC 0x53434d56u /* "VMCS" */

/*
 * A stream position is the number of bytes of this direction that lie before
 * it, counted from the first byte after the TCP handshake, whichever way
 * the bytes travelled. It indexes the ring by its low bits. This one is none:
 * it marks an unset offset word. Streams never get this long.
 */
#define XVMC_POS_NONE UINT64_MAX

/*
 * S-page: written by the sender alone, granted read-only [S 2].
 * Each group of words that changes together has a cache line of its own.
 */
struct xvmc_spage {
	/* line 0: constant after set-up */
	uint8_t nonce[XVMC_NONCE_LEN];
	uint32_t magic;
	uint32_t version;
	uint32_t order; /* data pages = 1 << order */
	uint32_t pad0;
	uint8_t line0[32];
	/* line 1: the data path */
	uint64_t prod; /* bytes before this position may be read */
	uint8_t line1[56];
	/* line 2: the sender sleeps for room: ring when cons >= room_at.
	 * 0: it does not sleep. */
	uint64_t room_at;
	uint8_t line2[56];
	/* line 3: the announcement of a switch TCP -> RING; valid while
	 * rpage.announce says ANNOUNCED with the same epoch */
	uint64_t ann_pos;  /* the switch happens at this position */
	uint64_t ann_rcvd; /* what the sender has received the other way */
	uint32_t ann_epoch;
	/* the highest epoch of a record that says TCP; all ones: the stream has
	 * gone there without one */
	uint32_t left;
	uint8_t line3[40];
	uint8_t rest[XVMC_PAGE_SIZE - 256];
};
static_assert(sizeof(struct xvmc_spage) == XVMC_PAGE_SIZE, "S-page");
static_assert(offsetof(struct xvmc_spage, magic) == 16, "S-page");
static_assert(offsetof(struct xvmc_spage, version) == 20, "S-page");
static_assert(offsetof(struct xvmc_spage, order) == 24, "S-page");
static_assert(offsetof(struct xvmc_spage, prod) == 64, "S-page");
static_assert(offsetof(struct xvmc_spage, room_at) == 128, "S-page");
static_assert(offsetof(struct xvmc_spage, ann_pos) == 192, "S-page");
static_assert(offsetof(struct xvmc_spage, ann_rcvd) == 200, "S-page");
static_assert(offsetof(struct xvmc_spage, ann_epoch) == 208, "S-page");
static_assert(offsetof(struct xvmc_spage, left) == 212, "S-page");

/*
 * R-page: owned by the sender, granted read-write. The first half holds only
 * words the receiver writes: after the sender's guest has migrated its copy
 * of them may be old [X 4], never newer than the truth. The second half
 * holds the word both sides compare-and-swap.
 */
struct xvmc_rpage {
	/* line 0: the data path */
	uint64_t cons; /* bytes before this position were copied out */
	uint8_t line0[56];
	/* line 1: the receiver sleeps for data: ring when prod >= data_at.
	 * 0: it does not sleep. */
	uint64_t data_at;
	uint8_t line1[56];
	/* line 2 */
	uint8_t alive; /* 1 while the receiver maps the page and has not closed:
			* it sets it when all is mapped, and rings [S 3 step 5];
			* it clears it, or the hypervisor when the mapping
			* goes, however it goes */
	uint8_t half0[XVMC_PAGE_SIZE / 2 - 129];
	/* second half: enum xvmc_ann_state in the low byte, the epoch in the
	 * high 32 bits */
	uint64_t announce;
	uint8_t line32[56];
	/* enum xvmc_owner: written by the sender at set-up; the hypervisor
	 * clears it when the sender's process ends while its guest is here */
	uint8_t owner;
	uint8_t half1[XVMC_PAGE_SIZE / 2 - 65];
};
static_assert(sizeof(struct xvmc_rpage) == XVMC_PAGE_SIZE, "R-page");
static_assert(offsetof(struct xvmc_rpage, cons) == 0, "R-page");
static_assert(offsetof(struct xvmc_rpage, data_at) == 64, "R-page");
static_assert(offsetof(struct xvmc_rpage, alive) == 128, "R-page");
static_assert(offsetof(struct xvmc_rpage, announce) == 2048, "R-page");
static_assert(offsetof(struct xvmc_rpage, owner) == 2112, "R-page");

enum xvmc_owner {
	XVMC_OWNER_DIED = 0,
	XVMC_OWNER_ALIVE = 1,
	XVMC_OWNER_UNTOLD = 2, /* nobody will clear it: it proves nothing */
};

/* The announcement word's state; who writes it: docs/protocol.md. */
enum xvmc_ann_state {
	XVMC_ANN_NONE = 0,
	XVMC_ANN_ANNOUNCED = 1, /* sender, by store */
	XVMC_ANN_ACKED = 2,     /* receiver, by CAS from ANNOUNCED */
	XVMC_ANN_CANCELLED = 3, /* sender, by CAS from ANNOUNCED */
};

/* Where the bytes after a switch record travel. */
enum xvmc_path {
	XVMC_PATH_TCP = 0,
	XVMC_PATH_RING = 1,
};

/*
 * The switch record, written into the TCP stream by the sender of a
 * direction. RING: what follows position pos comes through the ring and the
 * TCP stream is silent until the next record. TCP: the next len bytes are
 * [pos, pos + len) again, then the stream goes on over TCP.
 */
struct xvmc_record {
	uint8_t nonce[XVMC_NONCE_LEN]; /* of this direction's set-up */
	uint32_t epoch;                /* +1 with each announcement and each
					* record that says TCP */
	uint8_t target;                /* enum xvmc_path */
	uint8_t cause;                 /* enum xvmc_reason, for `xvmc ss` */
	uint8_t flags;                 /* XVMC_REC_* */
	uint8_t pad;
	uint64_t pos;
	uint64_t len;
	uint64_t sum; /* of all the above; a damaged record is no record */
};
static_assert(sizeof(struct xvmc_record) == 48, "record");
static_assert(offsetof(struct xvmc_record, epoch) == 16, "record");
static_assert(offsetof(struct xvmc_record, target) == 20, "record");
static_assert(offsetof(struct xvmc_record, cause) == 21, "record");
static_assert(offsetof(struct xvmc_record, flags) == 22, "record");
static_assert(offsetof(struct xvmc_record, pos) == 24, "record");
static_assert(offsetof(struct xvmc_record, len) == 32, "record");
static_assert(offsetof(struct xvmc_record, sum) == 40, "record");

/* The receiver of this record shall move its own direction to TCP too. */
#define XVMC_REC_BOTH 0x01u

/*
 * Set-up messages between the two ends of a connection [S 3]; relayed by the
 * two xvmcd. Each starts with this header. The numbers are the steps of
 * [S 3]: what is asked in step 2 comes with MATCH (agent.h), and step 5 is a
 * byte of the R-page and the channel's first ring.
 */
enum xvmc_setup_type {
	XVMC_SETUP_OFFER = 4,  /* sender -> receiver: domid, port, grefs */
	XVMC_SETUP_REFUSE = 6, /* either: no ring for this connection, why */
	XVMC_SETUP_LEAVE = 7,  /* receiver -> sender: move to TCP, please; where
				* no record can say so, its own direction being
				* on TCP already */
};

struct xvmc_setup_hdr {
	uint32_t version; /* XVMC_ABI_VERSION */
	uint16_t type;    /* enum xvmc_setup_type */
	uint16_t len;     /* of the whole message, bytes */
};
static_assert(sizeof(struct xvmc_setup_hdr) == 8, "setup");

#define XVMC_SETUP_GREFS_MAX (2u + (1u << XVMC_RING_ORDER_MAX))

struct xvmc_setup_offer {
	struct xvmc_setup_hdr hdr;
	uint8_t nonce[XVMC_NONCE_LEN];
	uint32_t domid; /* the granter's */
	uint32_t port;  /* its event channel */
	uint32_t order;
	uint32_t ngrefs;                     /* 2 + (1 << order) */
	uint32_t gref[XVMC_SETUP_GREFS_MAX]; /* R-page, S-page, data pages */
};
static_assert(offsetof(struct xvmc_setup_offer, domid) == 24, "setup offer");
static_assert(offsetof(struct xvmc_setup_offer, gref) == 40, "setup offer");
static_assert(sizeof(struct xvmc_setup_offer) == 1072, "setup offer");

struct xvmc_setup_word {
	struct xvmc_setup_hdr hdr; /* REFUSE, LEAVE */
	uint32_t reason;           /* enum xvmc_reason */
	uint32_t pad;
};
static_assert(sizeof(struct xvmc_setup_word) == 16, "setup word");

#define XVMC_SETUP_MAX (sizeof(struct xvmc_setup_offer))

#endif
