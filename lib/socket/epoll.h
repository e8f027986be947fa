/* SPDX-License-Identifier: MIT */
/*
 * What the epoll files and poll.c share: sets, registrations, and the arena
 * the registrations live in.
 *
 * The application's epfd stays the kernel's and holds every descriptor. Of a
 * connection that is PLAIN the kernel holds the application's own events and
 * data (one-shot ones: our data, to learn that they fired). Of a MANAGED one
 * it holds nothing but EPOLLET (only HUP and ERR are reported) with our data,
 * and the readiness comes from xvmc_ep_poll() and the bells. The bells are
 * members, edge-triggered, of an inner epoll instance that is itself a member
 * of the application's epfd: so a thread, or another epoll, that sleeps on
 * the epfd wakes when a bell rings. Bells are never read here: each ring is an
 * edge for every epoll that watches it.
 *
 * Registrations of a set that may be ready are on its hot list; the others
 * have their bells armed. A wait looks only at the hot ones, so its cost
 * grows with the active connections, not with the registered ones.
 *
 * Who excludes whom: ctx->epoll_lock guards the arena, the list of sets, and
 * the lists that say what is registered where; set->lock guards the hot list
 * and what registrations of the set have reported. Order: epoll_lock,
 * set->lock, endpoint locks; several sets' locks only by who has epoll_lock.
 * Neither is held while sleeping in the kernel.
 */
#ifndef XVMC_SOCKET_EPOLL_H
#define XVMC_SOCKET_EPOLL_H

#include "internal.h"

enum epreg_kind {
	EPREG_FREE = 0,
	EPREG_EARLY,    /* a descriptor that is no endpoint (yet) */
	EPREG_ENDPOINT,
	EPREG_INNER,    /* a set's mark for its inner instance */
	EPREG_NESTED,   /* another set in this one */
	EPREG_FOREIGN,  /* the same, of the process we were forked from */
};

#define EPREG_BELLS 4 /* at most two for data and two for room */

/* Aligned to its size: the low bits of its address carry a generation in the
 * data the kernel holds, so that late events of a reused slot are known. The veil
 * has none of them. */
#define EPREG_SIZE 128u

struct xvmc_epreg {
	uint8_t kind;
	uint8_t gen;
	bool own_data : 1; /* the kernel holds our data, not the application's */
	bool managed : 1;  /* quiet in the kernel, bells in the inner instance */
	bool fired : 1;    /* a one-shot that was reported: disabled until MOD */
	bool parked : 1;   /* managed, but deleted by the application: it may come
			* back, and spares the kernel both calls */
	bool severed : 1;  /* forked: quiet in the kernel on the parent's behalf */
	bool own_fd : 1;   /* fd is a duplicate of ours, see epreg_rekey */
	uint8_t misses; /* looked at in vain so often since it was hot */
	uint8_t nbells : 4;
	uint8_t dup_bells : 4; /* bit i: bell[i] is a duplicate of ours */
	/* what an edge-triggered one has reported, with last_rx and last_tx */
	uint8_t last_dries; /* ep->dries then, its low bits */
	short last_bits;
	uint32_t events; /* the application's */
	int fd;
	int was; /* own_fd: the number the program made it with */
	uint32_t since; /* the set's takeovers when it became managed */
	epoll_data_t data; /* the application's */
	struct xvmc_epset *set;
	union {
		struct xvmc_endpoint *ep;
		struct xvmc_epset *inside; /* EPREG_NESTED */
	};
	struct xvmc_list ep_link;  /* ep->epregs, inside->outers; epoll_lock */
	struct xvmc_list set_link; /* regs, managed, nested, or an early bucket */
	struct xvmc_list hot_link; /* set->hot; set->lock */
	uint64_t last_rx, last_tx;
	int bell[EPREG_BELLS];
};
_Static_assert(sizeof(struct xvmc_epreg) <= EPREG_SIZE, "EPREG_SIZE");

#define EPSET_BUCKETS 64u

struct xvmc_epset {
	struct xvmc_obj obj;
	struct xvmc_ctx *ctx;
	struct xvmc_list all_link; /* ctx->epolls->sets */
	pthread_mutex_t lock;
	bool held; /* lock is, by xvmc_epoll_ep_lock; under epoll_lock */
	int epfd;  /* an application number that led here, perhaps no more */
	int kfd;   /* our own duplicate of it, -1 until needed */
	_Atomic int inner; /* the bells' epoll instance, -1 until needed */
	int flag;  /* an eventfd in it: rung when somebody must look */
	struct xvmc_epreg *mark; /* the inner instance's data */
	_Atomic uint32_t nmanaged;
	_Atomic uint32_t nsevered;
	_Atomic uint32_t takeovers; /* so often a member became managed */
	_Atomic uint32_t moves;     /* that, or the kernel's again */
	_Atomic uint32_t sleepers; /* threads in the kernel on this epfd */
	_Atomic bool watched;      /* the epfd itself is polled by somebody */
	struct xvmc_list regs;    /* endpoints the kernel watches */
	struct xvmc_list managed; /* endpoints we watch */
	struct xvmc_list hot;
	_Atomic uint32_t nhot; /* without the lock a hint */
	struct spinner spin;
	/* hints of epoll-wait.c's own */
	uint32_t since_kernel; /* waits without a look at the kernel */
	uint64_t kernel_ns;    /* when that was */
	bool filled;           /* hot members took all the room of a wait */
	struct xvmc_list early[EPSET_BUCKETS];
	struct xvmc_list nested; /* sets in this one; changed under both locks */
	struct xvmc_list outers; /* where this one is in others; epoll_lock */
};

/* Everything epoll of a context; NULL until the first epoll instance. */
struct xvmc_epolls {
	struct xvmc_list sets;
	uint8_t *arena; /* EPREG_MAX slots, address space until touched */
	uint32_t used;
	struct xvmc_list free;
	bool blind; /* a registration could not be written down */
};

#define EPREG_MAX (1u << 18)
#define EPREG_ARENA ((uint64_t)EPREG_MAX * EPREG_SIZE)

/* Events that mean something to us; the rest are flags. */
#define EPREG_READY                                                      \
	((uint32_t)(EPOLLIN | EPOLLRDNORM | EPOLLOUT | EPOLLWRNORM |     \
		    EPOLLRDHUP | EPOLLPRI))

/*
 * Our data must be none that a program puts there. Those are pointers; and numbers,
 * in the lower half of a word whose upper half is whatever was on the stack, as a
 * rule the upper half of a pointer. So ours is an address behind a veil, a random
 * upper half that no pointer has, nor a number that is negative. Of the process, set
 * once, before the first registration.
 */
extern _Atomic uint64_t epreg_veil;

/* From our data to what is behind the veil, and back. */
static inline uint64_t epreg_unveil(uint64_t data)
{
	return data ^ atomic_load_explicit(&epreg_veil, memory_order_relaxed);
}

static inline bool epreg_is_ours(const struct xvmc_epolls *e, uint64_t data)
{
	return epreg_unveil(data) - (uint64_t)(uintptr_t)e->arena < EPREG_ARENA;
}

static inline uint64_t epreg_tag(const struct xvmc_epreg *reg)
{
	return epreg_unveil((uint64_t)(uintptr_t)reg | reg->gen);
}

/* The registration behind our data, or NULL if it is not what it was. Our
 * data only: the range was checked. epoll_lock or the set's lock held. */
static inline struct xvmc_epreg *epreg_of(uint64_t data)
{
	struct xvmc_epreg *reg = (struct xvmc_epreg *)(uintptr_t)
		(epreg_unveil(data) & ~(uint64_t)(EPREG_SIZE - 1));

	return reg->gen == (data & (EPREG_SIZE - 1)) ? reg : NULL;
}

/* The bells an endpoint's registration is armed for. */
static inline short epreg_wants(const struct xvmc_epreg *reg)
{
	short want = 0;

	if (reg->events & (EPOLLIN | EPOLLRDNORM | EPOLLRDHUP | EPOLLPRI))
		want |= POLLIN;
	if (reg->events & (EPOLLOUT | EPOLLWRNORM))
		want |= POLLOUT;
	return want;
}

/* epoll.c; epoll_lock held */
int epolls_get(struct xvmc_ctx *ctx, struct xvmc_epolls **ret_e);
struct xvmc_epreg *epreg_new(struct xvmc_epolls *e, enum epreg_kind kind);
void epreg_free(struct xvmc_epolls *e, struct xvmc_epreg *reg);
struct xvmc_epreg *epreg_find_early(struct xvmc_epset *set, int fd);
/* Where the early ones with this number are. */
struct xvmc_list *epset_early(struct xvmc_epset *set, int fd);
struct epoll_event epreg_kernel_event(const struct xvmc_epreg *reg);
/* A new registration, on no list yet, is an endpoint's. */
void epreg_join(struct xvmc_epreg *reg, struct xvmc_endpoint *ep);
/* The early registration turns out to be an endpoint's. */
void epreg_adopt(struct xvmc_epreg *reg, struct xvmc_endpoint *ep);

/* epoll-managed.c; epoll_lock and the set's lock held */
int epreg_manage(struct xvmc_epreg *reg);
void epreg_heat(struct xvmc_epreg *reg);
void epreg_cool(struct xvmc_epreg *reg);
void epreg_news(struct xvmc_epreg *reg);
/* The number it was made with is about to be closed, the connection not. */
int epreg_rekey(struct xvmc_epreg *reg);
/* That number leads to the connection again, and so to the registration. */
int epreg_rekey_back(struct xvmc_epreg *reg);
/* Takes the registration off everything; the kernel's is the caller's. */
void epreg_drop(struct xvmc_epreg *reg);

/* epoll-inner.c */
/* A number that leads to the kernel's instance; -EBADF. */
int epset_kernel_fd(struct xvmc_epset *set);
/* Wakes whoever sleeps on the epfd, so that it looks at the hot list. The set's
 * lock held; for the following epoll_lock, too. */
void epset_wake(struct xvmc_epset *set);
/* A number of our own for the kernel's instance, in set->kfd; the inner one, in
 * set->inner. */
int epset_open_kernel(struct xvmc_epset *set);
int epset_open_inner(struct xvmc_epset *set);
/* All the bells of a registration, in the inner instance. */
int epreg_add_bells(struct xvmc_epreg *reg);
void epreg_remove_bells(struct xvmc_epreg *reg);

/* epoll-life.c; no lock held */
/* Forked: this process waits for connections that its parent has on rings. */
void epset_claim_severed(struct xvmc_epset *set);

/* epoll-ready.c */
/* The events of a managed registration to be reported now, 0 for none. arm:
 * then its bells will ring when that changes. tell: they will be reported,
 * note it. set->lock held. */
uint32_t epreg_look(struct xvmc_epreg *reg, bool arm, bool tell);
/* How many of the hot members would be reported now, up to max; more than that
 * many if there are very many hot. set->lock held. */
int epset_count(struct xvmc_epset *set, int max);
/* Reports what is ready of the hot members, at most max, looking at each
 * once. arm: those that are not ready are armed and leave the list, else
 * they stay for some waits more. as_of: set->takeovers before the kernel was
 * asked; of a member that came later it may have reported the same bytes, so
 * that one waits for the next time. set->lock held. */
int epset_collect(struct xvmc_epset *set, uint32_t as_of, struct epoll_event *evs,
		  int max, bool arm);
/* Puts the members whose bells rang on the hot list. No lock held. */
void epset_harvest(struct xvmc_epset *set);
/* For poll() of an epfd: would a wait find a managed member ready? Tells
 * nobody that it was reported. arm: else arm their bells. No lock held. */
bool epset_ready(struct xvmc_epset *set, bool arm);

/* epoll-nested.c; no lock held */
/* epoll_ctl of a set that goes into, or is in, another. */
int epset_ctl_nested(struct xvmc_epset *set, struct xvmc_epset *inside, int epfd,
		     int op, int fd, struct epoll_event *ev);
/* epoll_lock held: the set goes. */
void epset_drop_nested(struct xvmc_epset *set);
/* What the kernel says of a set by its number, but for bells, which are in there
 * too and ring for the switch as well. */
short epset_kernel(struct xvmc_epset *set, int fd, short events);
/* An event of the kernel's with our data. True if it is of a set within this
 * one, and true: then with the program's data. */
bool epset_nested_event(struct xvmc_epset *set, struct epoll_event *ev);

#endif
