/* SPDX-License-Identifier: MIT */
/*
 * What the local backend says to xvmcd, which plays its hypervisor, on
 * $dir/hv.sock (SOCK_SEQPACKET, one message a packet, native byte order).
 * Messages and the one way to carry them with their descriptors; who may do
 * what is decided in local-host.c, and what a process does with the pages in
 * local.c. docs/protocol-local.md draws it to the byte.
 *
 * A call carries a serial above 0 and is answered once, by WELCOME or REPLY
 * with the same serial, in order. Serial 0 asks for no answer. PRECOPY and
 * CUT come unasked at any time, also before an answer.
 */
#ifndef XVMC_LOCAL_WIRE_H
#define XVMC_LOCAL_WIRE_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "xvmc/agent.h"

#define XVMC_LW_VERSION 1u
#define XVMC_LW_SOCKET "hv.sock"
#define XVMC_LW_FDS_MAX 2u
#define XVMC_LW_PAGES_MAX 1024u /* of one share or map */
#define XVMC_LW_NO_CLEAR UINT64_MAX

enum xvmc_lw_type {
	/* process -> xvmcd; serial 0 where no answer is wanted */
	XVMC_LW_HELLO = 1,
	XVMC_LW_GRANT = 2,      /* + memfd; REPLY: number = first gref */
	XVMC_LW_UNGRANT = 3,    /* number: first gref */
	XVMC_LW_MAP = 4,        /* REPLY: number = map, offset; + memfd */
	XVMC_LW_UNMAP = 5,      /* number: map */
	XVMC_LW_CHAN_ALLOC = 6, /* REPLY: number = port; + own, peer's eventfd */
	XVMC_LW_CHAN_BIND = 7,  /* likewise */
	XVMC_LW_CHAN_CLOSE = 8, /* number: port */
	XVMC_LW_CUT_DONE = 9,   /* number: CUT's */
	/* number: gref of a grant of ours; pad: the byte to clear in its
	 * pages when we end before our domain moves */
	XVMC_LW_OWNER_CLEAR = 10,

	/* xvmcd -> process */
	XVMC_LW_WELCOME = 16, /* + board, memfd of XVMC_LW_PAGES_MAX pages 0xFF */
	XVMC_LW_REPLY = 17,
	XVMC_LW_PRECOPY = 18, /* pre-copy begins: take the older snapshot */
	XVMC_LW_CUT = 19,     /* the instant: nothing is shared any more */
};

struct xvmc_lw_hdr {
	uint32_t version; /* XVMC_LW_VERSION */
	uint16_t type;
	uint16_t len; /* of the whole message */
	uint32_t serial;
	int32_t status; /* 0 or -errno, in answers */
};
static_assert(sizeof(struct xvmc_lw_hdr) == 16, "hv header");

/* domid: which one the process believes to be, 0 if it never knew. */
struct xvmc_lw_hello {
	struct xvmc_lw_hdr hdr;
	uint32_t domid;
	uint32_t pad;
	char domain[XVMC_NAME_MAX];
};
static_assert(sizeof(struct xvmc_lw_hello) == 56, "hv hello");

struct xvmc_lw_welcome {
	struct xvmc_lw_hdr hdr;
	uint32_t domid;
	uint32_t incarnation;
	uint32_t slot; /* of our domain in the board */
	uint32_t pad;
};
static_assert(sizeof(struct xvmc_lw_welcome) == 32, "hv welcome");

/* GRANT, MAP, CHAN_ALLOC, CHAN_BIND. MAP: peer is the granter, number the
 * first of npages consecutive grefs of one grant. CHAN_BIND: number is the
 * peer's port. */
struct xvmc_lw_call {
	struct xvmc_lw_hdr hdr;
	uint32_t peer; /* domid */
	uint32_t number;
	uint32_t npages;
	uint32_t writable;
	uint64_t clear_byte; /* MAP: or XVMC_LW_NO_CLEAR */
};
static_assert(sizeof(struct xvmc_lw_call) == 40, "hv call");

/* UNMAP: the mapper lives, and the byte that its end would clear stays. */
#define XVMC_LW_NOT_CLEARED 1u

/* UNGRANT, UNMAP, CHAN_CLOSE, CUT_DONE, PRECOPY, CUT */
struct xvmc_lw_word {
	struct xvmc_lw_hdr hdr;
	uint32_t number;
	uint32_t pad; /* OWNER_CLEAR: offset; UNMAP: XVMC_LW_NOT_CLEARED or 0 */
};
static_assert(sizeof(struct xvmc_lw_word) == 24, "hv word");

struct xvmc_lw_reply {
	struct xvmc_lw_hdr hdr;
	uint32_t number;
	uint32_t offset;    /* MAP: of the first page in the memfd, pages */
	uint32_t self;      /* CHAN_*: our domid */
	uint32_t peer_slot; /* CHAN_*: the peer's domain in the board */
};
static_assert(sizeof(struct xvmc_lw_reply) == 32, "hv reply");

#define XVMC_LW_MAX 64u /* no message is longer */

/*
 * Sends one message of hdr->len bytes and nfds descriptors, without
 * blocking. 0; -EAGAIN: the socket is full; -EPIPE and the like.
 */
int xvmc_lw_send(int sock, const void *msg, const int *fds, unsigned int nfds);

/*
 * Takes one packet, without blocking. ret_fds: up to XVMC_LW_FDS_MAX
 * descriptors (CLOEXEC), the caller's from now on; ones beyond are closed,
 * and all are when one of them did not fit into the table of this process.
 * Returns its length, which is at least 1; 0: end of file; -EAGAIN: none
 * there; -EMSGSIZE: it was longer than size and is gone.
 */
ssize_t xvmc_lw_recv(int sock, void *ret_buf, size_t size, int *ret_fds,
		     unsigned int *ret_nfds);

/*
 * A memfd of len bytes that can be sealed, with memory behind every page:
 * touching it cannot fail. -ENOSPC, -EMFILE.
 */
int xvmc_lw_memfd(const char *name, size_t len);

/*
 * Whether a peer's memfd may be mapped without ever faulting: it can neither
 * shrink nor grow, holds npages from page offset on, and they have memory.
 * 0 or -EACCES.
 */
int xvmc_lw_check_memfd(int fd, size_t offset, size_t npages);

#endif
