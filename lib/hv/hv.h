/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor port: share pages, map a peer's pages, doorbells, identity.
 * The contract every backend keeps; tests/unit/test-hv.c holds it against
 * each backend that can be opened.
 *
 * Backends: xen.c (gntalloc, gntdev, evtchn; names no libxen type outside
 * lib/hv/xen*), local.c (sealed memfds and eventfds handed out by xvmcd,
 * which plays the hypervisor), and the simulator's in tests/sim.
 *
 * Threads:   a struct xvmc_hv is used by one thread (the service thread),
 *            except where a function says "any thread".
 * fork:      a child may call xvmc_hv_abandon() and nothing else. Mappings
 *            are MADV_DONTFORK: they do not exist in the child.
 * exec:      every descriptor is CLOEXEC.
 * migration: a mapping of a peer's page turns into 0xFF bytes from one
 *            instruction to the next and writes to it vanish [X 3]; nothing
 *            faults. Own shared pages stay readable and writable, but nobody
 *            else sees them any more, and the first half of a read-write
 *            page may hold older contents [X 4]. Channels fall silent
 *            [X 1]. xvmc_hv_unshare, _unmap and _chan_close stay legal.
 *
 * Errors: -errno. -ENOSPC: out of grants or memory; -EMFILE: out of
 * descriptors; -ENOBUFS: out of event channels; -EACCES: not granted to us;
 * -ENOENT: no such grant or port; -EIO: the hypervisor is gone (for local:
 * xvmcd ended). All calls may block for a short, bounded time.
 */
#ifndef XVMC_HV_H
#define XVMC_HV_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t xvmc_domid_t;
typedef uint32_t xvmc_gref_t;
typedef uint32_t xvmc_port_t;

#define XVMC_DOMID_NONE UINT32_MAX

struct xvmc_hv;

/* Pages of ours that one peer domain may map. */
struct xvmc_share {
	void *addr; /* page-aligned; zeroed at first */
	size_t npages;
	bool writable; /* the peer may write */
	void *priv;    /* the backend's */
};

/* Pages of a peer's that we map. */
struct xvmc_map {
	void *addr;
	size_t npages;
	bool writable;
	void *priv;
};

/*
 * An event channel between two domains, usable in both directions. wait_fd
 * becomes readable (and wakes edge-triggered epoll) when the peer notifies.
 * The descriptor is CLOEXEC and high; it belongs to the channel.
 */
struct xvmc_chan {
	int wait_fd;
	xvmc_port_t port; /* our port */
	/* A write of 8 bytes {1} to wait_fd wakes our own sleepers, and a
	 * blocking read() of 8 bytes consumes all that happened (an eventfd).
	 * False: wait_fd only carries the peer's notifications. */
	bool self_ring;
	void *priv;
};

/* What a direction's sender makes for its receiver: a page that both write, pages
 * that the receiver may read, and a channel. */
struct xvmc_offered {
	struct xvmc_share r, sd;
	struct xvmc_chan chan;
};

/* The same as the receiver has it. */
struct xvmc_accepted {
	struct xvmc_map r, sd;
	struct xvmc_chan chan;
};

/* Identity as the hypervisor tells it, at this instant. */
struct xvmc_hv_self {
	xvmc_domid_t domid;
	uint32_t incarnation; /* +1 with every restore or migration [X 7] */
};

struct xvmc_hv_ops {
	const char *name;
	void (*close)(struct xvmc_hv *hv);
	void (*abandon)(struct xvmc_hv *hv);
	int (*self)(struct xvmc_hv *hv, struct xvmc_hv_self *ret_self);
	uint32_t (*incarnation)(struct xvmc_hv *hv);
	int (*share)(struct xvmc_hv *hv, xvmc_domid_t peer, size_t npages,
		     bool writable, struct xvmc_share *ret_share,
		     xvmc_gref_t *ret_grefs);
	void (*unshare)(struct xvmc_hv *hv, struct xvmc_share *share);
	int (*map)(struct xvmc_hv *hv, xvmc_domid_t peer,
		   const xvmc_gref_t *grefs, size_t ngrefs, bool writable,
		   size_t clear_byte, struct xvmc_map *ret_map);
	void (*unmap)(struct xvmc_hv *hv, struct xvmc_map *map);
	int (*chan_alloc)(struct xvmc_hv *hv, xvmc_domid_t peer,
			  struct xvmc_chan *ret_chan);
	int (*chan_bind)(struct xvmc_hv *hv, xvmc_domid_t peer,
			 xvmc_port_t peer_port, struct xvmc_chan *ret_chan);
	void (*chan_close)(struct xvmc_hv *hv, struct xvmc_chan *chan);
	/* in place of pages that others may be looking at */
	int (*keep_share)(struct xvmc_hv *hv, struct xvmc_share *share, void *with);
	int (*keep_map)(struct xvmc_hv *hv, struct xvmc_map *map, void *with);
	void (*chan_hush)(struct xvmc_hv *hv, struct xvmc_chan *chan);
	int (*notify)(struct xvmc_hv *hv, struct xvmc_chan *chan);
	int (*event_fd)(struct xvmc_hv *hv);
	int (*dispatch)(struct xvmc_hv *hv);
	/* for who can do it without a mapping */
	int (*copy)(struct xvmc_hv *hv, xvmc_domid_t peer, xvmc_gref_t gref, size_t at,
		    void *ret_buf, size_t len);
	/* optional, NULL where the hypervisor cannot */
	int (*owner_clear)(struct xvmc_hv *hv, struct xvmc_share *share,
			   size_t byte);
	void (*chan_ack)(struct xvmc_hv *hv, struct xvmc_chan *chan);
	/* for who can do it with less waiting than one by one */
	int (*offer)(struct xvmc_hv *hv, xvmc_domid_t peer, size_t npages,
		     struct xvmc_offered *ret_offered, xvmc_gref_t *ret_grefs);
	int (*accept)(struct xvmc_hv *hv, xvmc_domid_t peer,
		      const xvmc_gref_t *grefs, size_t ngrefs, size_t clear_byte,
		      xvmc_port_t port, struct xvmc_accepted *ret_accepted);
};

/* Every backend's handle begins with this. */
struct xvmc_hv {
	const struct xvmc_hv_ops *ops;
};

#define XVMC_HV_NO_CLEAR SIZE_MAX

/* Closes the handle and releases all it shared, mapped and bound. NULL: no-op. */
static inline void xvmc_hv_close(struct xvmc_hv *hv)
{
	if (hv)
		hv->ops->close(hv);
}

/* After fork, in the child: closes the descriptors, frees nothing the parent
 * shares with its peers, tells nobody. The handle is gone afterwards. */
static inline void xvmc_hv_abandon(struct xvmc_hv *hv)
{
	if (hv)
		hv->ops->abandon(hv);
}

/* Own domid and incarnation. */
static inline int xvmc_hv_self(struct xvmc_hv *hv, struct xvmc_hv_self *ret_self)
{
	return hv->ops->self(hv, ret_self);
}

/* Own incarnation, without a system call. Any thread, signal-safe; cheap
 * enough for slow paths (microseconds on Xen), not for every receive. */
static inline uint32_t xvmc_hv_incarnation(struct xvmc_hv *hv)
{
	return hv->ops->incarnation(hv);
}

/*
 * Shares npages fresh zeroed pages with domain peer, read-only or writable
 * for it. ret_grefs: npages grant references, in page order. The memory is
 * reserved: touching it cannot fault. [S 3 step 3]
 */
static inline int xvmc_hv_share(struct xvmc_hv *hv, xvmc_domid_t peer,
				size_t npages, bool writable,
				struct xvmc_share *ret_share,
				xvmc_gref_t *ret_grefs)
{
	return hv->ops->share(hv, peer, npages, writable, ret_share, ret_grefs);
}

/* Ends the grant and frees our mapping. The peer's mapping, if it still has
 * one, keeps its memory until it unmaps. */
static inline void xvmc_hv_unshare(struct xvmc_hv *hv, struct xvmc_share *share)
{
	hv->ops->unshare(hv, share);
}

/*
 * Maps pages domain peer, which is not our own, granted to us: grefs are pages of one share call, in
 * its order, not necessarily all. writable may be asked only where it was
 * granted. clear_byte: offset in the mapping of a byte the hypervisor
 * shall set to 0 when the mapping goes, however it goes (only with writable;
 * local: best effort, by xvmcd on exit), or XVMC_HV_NO_CLEAR. [S 3 step 5]
 */
static inline int xvmc_hv_map(struct xvmc_hv *hv, xvmc_domid_t peer,
			      const xvmc_gref_t *grefs, size_t ngrefs,
			      bool writable, size_t clear_byte,
			      struct xvmc_map *ret_map)
{
	return hv->ops->map(hv, peer, grefs, ngrefs, writable, clear_byte,
			    ret_map);
}

static inline void xvmc_hv_unmap(struct xvmc_hv *hv, struct xvmc_map *map)
{
	hv->ops->unmap(hv, map);
}

/*
 * Copies len bytes, from byte at on, of one page that domain peer granted to us, and
 * keeps nothing of it: who wants a few bytes once needs no mapping. Not atomic: only
 * of what nobody writes meanwhile. With Xen peer may be our own domain, too.
 */
int xvmc_hv_copy(struct xvmc_hv *hv, xvmc_domid_t peer, xvmc_gref_t gref, size_t at,
		 void *ret_buf, size_t len);

/* Allocates an event channel that domain peer may bind. */
static inline int xvmc_hv_chan_alloc(struct xvmc_hv *hv, xvmc_domid_t peer,
				     struct xvmc_chan *ret_chan)
{
	return hv->ops->chan_alloc(hv, peer, ret_chan);
}

/* Binds to the channel peer_port that domain peer allocated for us. */
static inline int xvmc_hv_chan_bind(struct xvmc_hv *hv, xvmc_domid_t peer,
				    xvmc_port_t peer_port,
				    struct xvmc_chan *ret_chan)
{
	return hv->ops->chan_bind(hv, peer, peer_port, ret_chan);
}

static inline void xvmc_hv_chan_close(struct xvmc_hv *hv, struct xvmc_chan *chan)
{
	hv->ops->chan_close(hv, chan);
}

/*
 * All that a direction needs, or nothing. offer: one writable page and npages
 * others; ret_grefs: 1 + npages, in this order. accept: what was offered with
 * these; clear_byte is of the first page. withdraw and leave take it apart, and
 * what there is of it. [S 3 steps 3 and 5] [S 4]
 */
int xvmc_hv_offer(struct xvmc_hv *hv, xvmc_domid_t peer, size_t npages,
		  struct xvmc_offered *ret_offered, xvmc_gref_t *ret_grefs);
int xvmc_hv_accept(struct xvmc_hv *hv, xvmc_domid_t peer, const xvmc_gref_t *grefs,
		   size_t ngrefs, size_t clear_byte, xvmc_port_t port,
		   struct xvmc_accepted *ret_accepted);
void xvmc_hv_withdraw(struct xvmc_hv *hv, struct xvmc_offered *offered);
void xvmc_hv_leave(struct xvmc_hv *hv, struct xvmc_accepted *accepted);

/*
 * Gives back what others in this process may be looking at, sleeping on, at this
 * moment. Pages: with, as many pages from xvmc_hv_memory, takes their place, for
 * every thread at one instant; what they showed before is for the caller to have
 * put there. The peer is told nothing: no byte of a mapping is cleared, for we
 * live. A channel: its port is let go; its descriptor stays for our own sleepers,
 * and hears of no peer. _unshare, _unmap and _chan_close are still to be called.
 * An error: nothing has changed, and with is the caller's yet.
 */
static inline int xvmc_hv_keep_share(struct xvmc_hv *hv, struct xvmc_share *share,
				     void *with)
{
	return hv->ops->keep_share(hv, share, with);
}

static inline int xvmc_hv_keep_map(struct xvmc_hv *hv, struct xvmc_map *map, void *with)
{
	return hv->ops->keep_map(hv, map, with);
}

static inline void xvmc_hv_chan_hush(struct xvmc_hv *hv, struct xvmc_chan *chan)
{
	hv->ops->chan_hush(hv, chan);
}

/* Pages of this process alone, zeroed; NULL: there are none. They are given back
 * by xvmc_hv_memory_free, or with what they have taken the place of. */
void *xvmc_hv_memory(size_t npages);
void xvmc_hv_memory_free(void *addr, size_t npages);
/* For backends: moves such pages to where others are. */
int xvmc_hv_replace(void *at, void *with, size_t npages);

/* Rings the peer. Any thread, signal-safe, never blocks. After a migration
 * of either side it does nothing and returns 0. */
static inline int xvmc_hv_notify(struct xvmc_hv *hv, struct xvmc_chan *chan)
{
	return hv->ops->notify(hv, chan);
}

/*
 * Has the hypervisor set one byte of a writable share to 0 when this process
 * ends, however it ends, while its guest still is where the pages are. A peer
 * that maps them learns from it that the owner has died here, and not after a
 * migration its mapping knows nothing of. -EOPNOTSUPP: it cannot.
 */
static inline int xvmc_hv_owner_clear(struct xvmc_hv *hv,
				      struct xvmc_share *share, size_t byte)
{
	return hv->ops->owner_clear ? hv->ops->owner_clear(hv, share, byte) :
				      -EOPNOTSUPP;
}

/* Takes the notifications that came, so that the next one can come: before a
 * look at the ring that may end in sleep on wait_fd. Any thread, no blocking.
 * Not needed where self_ring is true and wait_fd is simply read. */
static inline void xvmc_hv_chan_ack(struct xvmc_hv *hv, struct xvmc_chan *chan)
{
	if (hv->ops->chan_ack)
		hv->ops->chan_ack(hv, chan);
}

/* A descriptor that is readable when xvmc_hv_dispatch() has work, or -1. */
static inline int xvmc_hv_event_fd(struct xvmc_hv *hv)
{
	return hv->ops->event_fd(hv);
}

/* Does the backend's own work (local: plays a migration's instant on this
 * process's mappings). -EIO: the hypervisor is gone; what is shared and
 * mapped stays in use, nothing new can be had. The event descriptor becomes
 * readable when it is back, and this finds it. */
static inline int xvmc_hv_dispatch(struct xvmc_hv *hv)
{
	return hv->ops->dispatch(hv);
}

/*
 * Opens a backend. xen: spec is NULL. local: spec says where and as whom.
 * -ENOENT: this machine has no such hypervisor (no /dev/xen; no xvmcd).
 */
struct xvmc_hv_local_spec {
	const char *dir;    /* xvmcd's runtime directory */
	const char *domain; /* the domain this process belongs to */
};
int xvmc_hv_open_local(const struct xvmc_hv_local_spec *spec,
		       struct xvmc_hv **ret_hv);
int xvmc_hv_open_xen(struct xvmc_hv **ret_hv);

/*
 * Xen only: hold is called with each channel's descriptor before the channel
 * is used (an error: there is no channel), and with fd -1 when it was closed
 * in an orderly way. Whoever it passes a duplicate to must keep it for as long
 * as anybody else has the descriptor, if a migration has made it stale [X 1].
 */
typedef int (*xvmc_hv_hold)(void *arg, xvmc_port_t port, int fd);
void xvmc_hv_xen_holder(struct xvmc_hv *hv, xvmc_hv_hold hold, void *arg);

/* Once more for every channel there is: the holder is another one. */
int xvmc_hv_xen_hold_all(struct xvmc_hv *hv);

/* The guest's incarnation, without a handle; 0 where there is no Xen. */
uint32_t xvmc_hv_xen_incarnation(void);

/* Is it a PV guest, which may map nothing [X 2]? Without a handle. */
bool xvmc_hv_xen_pv(void);

#endif
