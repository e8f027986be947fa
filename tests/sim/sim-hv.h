/* SPDX-License-Identifier: MIT */
/*
 * A hypervisor in one process: the backend of struct xvmc_hv_ops that the
 * simulation, the unit tests and the fuzzer share. Every share is a memfd that
 * its owner and its mappers see at different addresses, the mappers read-only
 * where it was granted so: a write that must not be is a fault.
 *
 * Two guests, one handle each. sim_hv_migrate may be called at any instant,
 * also from inside an operation or from a signal handler in the middle of a
 * memcpy. One thread.
 */
#ifndef SIM_HV_H
#define SIM_HV_H

#include "hv/hv.h"
#include "sim-rng.h"
#include "xvmc/abi.h"

#define SIM_GUESTS 2u
#define SIM_ORDER_MAX 2u
#define SIM_REGION_PAGES (1u + (1u << SIM_ORDER_MAX))
#define SIM_REGION_LEN (SIM_REGION_PAGES * XVMC_PAGE_SIZE)
#define SIM_OBJECTS 64u

/* Memory. Lives as long as its owner or a mapper uses it. */
struct sim_region {
	int fd;
	unsigned int users;
};

struct sim_share {
	bool used;
	unsigned int guest, peer;
	uint32_t life;   /* the owner's when it was granted ... */
	uint32_t peer_life; /* ... and the peer's: after a migration it has another domid */
	uint32_t serial; /* in the grant references */
	struct sim_region *region;
	uint8_t *addr;   /* a window of SIM_REGION_LEN that is ours for good */
	uint8_t *older;  /* writable: what the peer's words said a while ago */
	size_t npages;
	bool writable;
	size_t clear_byte; /* when the owner's process ends */
	bool kept;         /* memory of the owner's alone is in its place */
};

struct sim_map {
	bool used, hole;
	bool kept;         /* likewise of the mapper's */
	unsigned int guest, owner;
	uint32_t owner_life;
	struct sim_region *region;
	uint8_t *addr;
	size_t npages, clear_byte;
	bool writable;
};

/* One end of an event channel. */
struct sim_chan {
	bool used, bound;
	unsigned int guest;
	uint32_t life;
	uint32_t port;
	struct sim_chan *other; /* NULL: not bound, or the other end closed */
	uint32_t other_life;
	uint64_t signals; /* what arrived here */
};

/* A process has died, and its kernel is about to say so in a page. */
struct sim_dying {
	struct sim_region *region;
	size_t byte;
	unsigned int wait; /* steps */
};

struct sim_dom {
	struct xvmc_hv hv; /* first: the handle */
	struct sim_hv *world;
	unsigned int number;
	uint32_t domid, incarnation;
	uint32_t life; /* +1 with each migration */
	unsigned int host;
	unsigned int grants_max, ports_max; /* pages, channels */
};

struct sim_hv {
	struct sim_dom dom[SIM_GUESTS];
	struct sim_region region[2 * SIM_OBJECTS];
	struct sim_share share[SIM_OBJECTS];
	struct sim_map map[SIM_OBJECTS];
	struct sim_chan chan[2 * SIM_OBJECTS];
	struct sim_dying dying[SIM_OBJECTS];
	bool untold; /* no such word: xvmc_hv_owner_clear is not supported */
	uint32_t next_domid, next_serial, next_port;
	struct sim_rng *rng;
	unsigned int lose;   /* permille of notifications that are lost */
	unsigned int ack_old; /* permille of migrations that lose an answer */
	uint64_t allocs;     /* allocations asked for so far */
	uint64_t fail_at;    /* fail the one with this number; 0: none */
	uint64_t failed, lost;
	/* Called in the middle of every notification. */
	void (*hook)(void *arg, unsigned int guest);
	void *hook_arg;
};

/* ---- between sim-hv.c and sim-fate.c ---- */

extern const struct xvmc_hv_ops sim_hv_ops;
void sim_hv_place(uint8_t *at, size_t npages, int fd, bool writable);
void sim_hv_vacate(uint8_t *at);
struct sim_region *sim_hv_region(struct sim_hv *w);
void sim_hv_unmap(struct sim_map *m);
void sim_hv_clear(struct sim_region *region, size_t byte);
void sim_hv_chan_close(struct sim_chan *ch);
unsigned int sim_hv_ports(const struct sim_hv *w, unsigned int guest);

/* ---- for the players ---- */

/* Once per process: memory and address windows; -errno. */
int sim_hv_open(struct sim_hv *w);
void sim_hv_shut(struct sim_hv *w);

/* Before each run: both guests on host 0, nothing shared. */
void sim_hv_reset(struct sim_hv *w, struct sim_rng *rng);

/* Remembers what peers have written so far, as pre-copy does. */
void sim_hv_snapshot(struct sim_hv *w, unsigned int guest);

/* The instant [X 3] [X 4]. */
void sim_hv_migrate(struct sim_hv *w, unsigned int guest, unsigned int host);

/* The guest's process ends: its kernel clears and releases. */
void sim_hv_kill(struct sim_hv *w, unsigned int guest);

/* To be called between steps: what a lost mapping reads as is 0xFF again,
 * whatever was written to it; the dead are told of, after a while. True: one
 * is still to be told of. */
bool sim_hv_settle(struct sim_hv *w);

/* Shares, mappings and channel ends that guest holds. */
unsigned int sim_hv_held(const struct sim_hv *w, unsigned int guest);

/* The owner of what m maps has migrated since: it is a zombie's memory. */
bool sim_hv_zombie(const struct sim_hv *w, const struct xvmc_map *m);

static inline uint64_t sim_hv_signals(const struct xvmc_chan *chan)
{
	return ((const struct sim_chan *)chan->priv)->signals;
}

#endif
