/* SPDX-License-Identifier: MIT */
/*
 * The inside of the local backend: what local.c (the contract), local-chan.c
 * (channels), local-connect.c and local-call.c (talking to xvmcd) and
 * local-pages.c (memory, and the instant of a migration) share. Nobody else
 * includes it.
 *
 * Who touches what: everything belongs to the handle's one thread, except
 * the board, slot, and the fields of a channel that notify reads, which are
 * constant or atomic.
 */
#ifndef XVMC_HV_LOCAL_H
#define XVMC_HV_LOCAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/list.h"
#include "hv.h"
#include "local-wire.h"

/* So many calls are under way at the same time at most. */
#define LOCAL_CALLS_MAX 3

struct local_share {
	struct xvmc_list node;
	char *addr;
	size_t npages;
	bool writable;
	bool cut; /* it is ours alone: by a migration, or kept */
	int fd;   /* a private copy of it takes its place in a cut; -1: kept */
	uint32_t peer;
	uint32_t gref;
	uint32_t life; /* the connection that knows the grant */
	bool clear;    /* xvmcd clears a byte when we end ... */
	size_t clear_byte; /* ... this one */
	char *older;   /* writable: first halves as they were */
};

struct local_map {
	struct xvmc_list node;
	char *addr;
	size_t npages;
	bool writable;
	bool cut; /* it is the peer's no more: likewise */
	size_t clear_byte;
	uint32_t number;
	uint32_t life;
};

struct local_chan {
	struct xvmc_list node;
	int wait_fd, peer_fd;
	uint32_t port;
	uint32_t life;
	const uint32_t *self_word, *peer_word; /* domids in the board ... */
	uint32_t self_domid, peer_domid;       /* ... and what they were */
	atomic_bool silent;
};

struct local_hv {
	struct xvmc_hv hv; /* first */
	char *dir;
	char domain[XVMC_NAME_MAX];
	int sock;    /* to xvmcd, -1: gone */
	int wait_fd; /* an epoll instance with sock in it: outlives sock */
	int look_fd; /* while sock is gone: tells when there is another */
	int ff_fd;   /* pages of 0xFF */
	struct xvmc_board *board;
	dev_t board_dev;
	ino_t board_ino;
	atomic_uint slot;
	uint32_t domid;    /* as we last knew it */
	uint32_t life;     /* +1 with each connection to an xvmcd */
	uint32_t serial;   /* of the last call */
	/* calls that were not answered in time */
	struct local_overdue {
		uint32_t serial;
		uint16_t type;
	} overdue[LOCAL_CALLS_MAX];
	unsigned int noverdue;
	uint64_t retry_at; /* xvmcd hangs: no new connection before */
	struct xvmc_list shares, maps, chans;
};

static inline struct local_hv *local_of(struct xvmc_hv *hv)
{
	return (struct local_hv *)hv;
}

/* A word of the board. */
static inline uint32_t local_load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* Whether the present xvmcd knows what was made in that life. */
static inline bool local_known(const struct local_hv *lh, uint32_t life)
{
	return lh->sock >= 0 && lh->life == life;
}

/* ---- local-connect.c ---- */

/* Opens the connection and says hello; on a second life, finds out whether
 * we are still who we were. */
int local_connect(struct local_hv *lh);

/* Closes the connection; what is shared and mapped stays. */
void local_disconnect(struct local_hv *lh);

/* ---- local-call.c ---- */

/*
 * One hypercall, in two steps: several may be sent before the first is waited
 * for, and are ended in the same order, each of them, whatever became of those
 * before it. begin sets version and serial and sends, with fd (or -1). end waits
 * for the answer, plays what arrives in between, and says what went wrong in
 * either. nfds descriptors are expected along with success and returned high
 * and CLOEXEC.
 */
struct local_call {
	uint64_t deadline;
	uint32_t serial;
	uint32_t life; /* the connection that it went out by */
	uint16_t type;
	int rc; /* it did not go out */
};

void local_call_begin(struct local_hv *lh, void *msg, int fd,
		      struct local_call *ret_call);
int local_call_end(struct local_hv *lh, const struct local_call *call,
		   struct xvmc_lw_reply *ret_reply, unsigned int nfds, int *ret_fds);

/* Has the share granted to its peer by the present xvmcd. */
void local_grant_begin(struct local_hv *lh, const struct local_share *share,
		       struct local_call *ret_call);
int local_grant_end(struct local_hv *lh, struct local_share *share,
		    const struct local_call *call);

/* Sends a message that is not answered; lost if it cannot be sent. */
void local_tell(struct local_hv *lh, uint16_t type, uint32_t number);
void local_tell_at(struct local_hv *lh, uint16_t type, uint32_t number,
		   uint32_t at);

/* Handles all that has arrived. -EIO: xvmcd is gone. */
int local_drain(struct local_hv *lh);

/* ---- local-chan.c ---- */

/* A channel in two steps, as a call. type: CHAN_ALLOC, or CHAN_BIND with port. */
void local_chan_begin(struct local_hv *lh, uint16_t type, xvmc_domid_t peer,
		      xvmc_port_t port, struct local_call *ret_call);
int local_chan_end(struct local_hv *lh, xvmc_domid_t peer, const struct local_call *call,
		   struct xvmc_chan *ret_chan);
/* Here alone: xvmcd is not told. */
void local_chan_free(struct local_chan *chan);

/* struct xvmc_hv_ops */
int local_chan_alloc(struct xvmc_hv *hv, xvmc_domid_t peer, struct xvmc_chan *ret_chan);
int local_chan_bind(struct xvmc_hv *hv, xvmc_domid_t peer, xvmc_port_t peer_port,
		    struct xvmc_chan *ret_chan);
void local_chan_close(struct xvmc_hv *hv, struct xvmc_chan *handle);
void local_chan_hush(struct xvmc_hv *hv, struct xvmc_chan *handle);
int local_notify(struct xvmc_hv *hv, struct xvmc_chan *handle);

/* ---- local-pages.c ---- */

/* Makes and maps the memory; local.c has it granted. */
int local_share_new(size_t npages, bool writable,
		    struct local_share **ret_share);
void local_share_free(struct local_share *share);

/* Consumes fd. */
int local_map_new(int fd, size_t offset, size_t npages, bool writable,
		  struct local_map **ret_map);
void local_map_free(struct local_map *map);

/* Pre-copy begins: remembers what the peers' words say now. */
void local_snapshot(struct local_hv *lh);

/* The instant: from here on this process sees none of its peers' pages and
 * no peer sees what it writes [X 3] [X 4]. */
void local_cut(struct local_hv *lh);

#endif
