/* SPDX-License-Identifier: MIT */
/*
 * The service thread's own state, shared by service.c (the thread, its queue
 * and its connection to xvmcd), link*.c (registration, set-up, migration) and
 * drive*.c (what one endpoint needs next).
 *
 * There is one service thread per process, made with the first endpoint that
 * is worth a ring. It takes endpoint locks, never the other way round: no
 * thread that holds an endpoint lock waits for it.
 */
#ifndef XVMC_SOCKET_SERVICE_H
#define XVMC_SOCKET_SERVICE_H

#include "event/agent.h"
#include "internal.h"
#include "migrate/migrate.h"

#define KNOWN_BUCKETS 4096u

struct xvmc_service {
	struct xvmc_ctx *ctx;
	pthread_t thread;
	pid_t pid;
	int epfd, kick_fd;
	_Atomic bool stop;
	pthread_mutex_t work_lock;
	struct xvmc_list work;  /* endpoints to attend to, by work_link */
	struct xvmc_list known; /* all it ever attended to, by svc_link */
	struct xvmc_list due;   /* of them those with a due_ns */
	struct xvmc_list rings; /* those with rings, or being given some; who was
				 * not seen to use them for longest comes first */
	struct xvmc_endpoint *by_epid[KNOWN_BUCKETS];
	struct xvmc_agent agent;
	struct xvmc_hv *hv;     /* NULL while there is none */
	uint64_t reconnect_ns;
	uint32_t nrings; /* how many are in rings */
	struct {
		bool active;
		uint32_t serial;
		uint64_t deadline_ns;
		struct migrate_event ev;
	} prepare;
	union xvmc_agent_msg msg; /* the one being read */
};

/* What an epoll event of the service thread is about: an endpoint's address
 * with one of these in its low bits (endpoints are 64-byte aligned). */
enum service_tag {
	TAG_TCP = 0,
	TAG_RX_BELL = 1,
	TAG_TX_BELL = 2,
	TAG_SERVICE = 3, /* with a small number instead of an address */
};

/* service.c */
void service_watch(struct xvmc_service *sv, struct xvmc_endpoint *ep, int fd,
		   enum service_tag tag, bool *watched, bool on);
void service_log(struct xvmc_service *sv, const struct xvmc_endpoint *ep,
		 const char *what, unsigned int reason);

/* known.c */
void known_add(struct xvmc_service *sv, struct xvmc_endpoint *ep);
void known_del(struct xvmc_service *sv, struct xvmc_endpoint *ep);
struct xvmc_endpoint *known_find(struct xvmc_service *sv, uint32_t epid);
/* Its due_ns has been set, or is 0 again. */
void known_due(struct xvmc_service *sv, struct xvmc_endpoint *ep);
/* It has rings, or is to have some, and used them just now; it has none. */
void known_ring(struct xvmc_service *sv, struct xvmc_endpoint *ep, uint64_t now);
void known_no_ring(struct xvmc_service *sv, struct xvmc_endpoint *ep);
/* Who has not used its rings for longest, and for ns at least; or NULL. Takes
 * endpoint locks. */
struct xvmc_endpoint *known_idle(struct xvmc_service *sv, uint64_t now, uint64_t ns);

/* link.c */
int link_register(struct xvmc_service *sv, struct xvmc_endpoint *ep);
void link_unregister(struct xvmc_service *sv, struct xvmc_endpoint *ep);
void link_message(struct xvmc_service *sv, const union xvmc_agent_msg *msg);
void link_addr(const struct sockaddr_storage *ss, struct xvmc_ag_addr *ret);
/* A set-up message to the other end; and one without more to it. */
void link_relay(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		const struct xvmc_setup_hdr *body);
void link_say(struct xvmc_service *sv, struct xvmc_endpoint *ep,
	      enum xvmc_setup_type type, unsigned int reason);
/* Ends the link: the rings are detached already. */
void link_ended(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		enum xvmc_reason why);

/* Not registered any more: until it is ours alone, where other processes hold it
 * (XVMC_R_FORK), or until it has moved enough to be worth another try. */
void link_withdraw(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		   enum xvmc_reason why);
/* There is no room for its rings, and withdrawing is what to do. */
bool link_for_want(enum xvmc_reason why);

/* link-setup.c: what came from xvmcd, and through it from the other end. */
void link_match(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		const struct xvmc_ag_match *match);
void link_relayed(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		  const struct xvmc_ag_relay *relay);
/* The largest ring that the program's own settings of this socket allow. */
uint32_t link_pages_max(int fd);
/* No link waits any more. */
void link_held_end(struct xvmc_endpoint *ep);
/* The old link is left: takes up the one that was held meanwhile. */
void link_held(struct xvmc_service *sv, struct xvmc_endpoint *ep);

/* link-orders.c */
void link_migrate(struct xvmc_service *sv, const struct xvmc_ag_migrate *msg);
/* The answer to PREPARE, once all are ready or the time is over. */
void link_prepared(struct xvmc_service *sv, uint64_t now);
void link_query(struct xvmc_service *sv);
/* Promote or demote, by xvmcd's word for all or the program's for one. */
void link_steer_all(struct xvmc_service *sv, const struct xvmc_ag_steer *steer);
void link_steer(struct xvmc_service *sv, struct xvmc_endpoint *ep, enum xvmc_path to);

/* grow.c: how large the ring is that we send by. */
/* What the next is to be, if nothing speaks against it. */
unsigned int grow_order(struct xvmc_service *sv, struct xvmc_endpoint *ep);
/* It has been made so large, and shall never be larger than limit; tx.lock held. */
void grow_made(struct xvmc_service *sv, struct xvmc_endpoint *ep, unsigned int order,
	       unsigned int limit);
/* There were no pages for a larger one than usual: it has none any more. Returns
 * the usual order. */
unsigned int grow_no_more(struct xvmc_endpoint *ep);
/* The rings are gone, for that reason. */
void grow_left(struct xvmc_endpoint *ep, enum xvmc_reason why);
/* Smaller than is usual, and need not be. */
bool grow_small(const struct xvmc_endpoint *ep);
/* Has a writer found it too small? Then asks xvmcd for more; tx.lock held. */
void grow_look(struct xvmc_service *sv, struct xvmc_endpoint *ep);
void grow_answer(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		 const struct xvmc_ag_pages *answer);
/* There were no pages for a ring: larger ones make way, says xvmcd; here. */
void grow_short(struct xvmc_service *sv);
void grow_back(struct xvmc_service *sv);

/* drive-tx.c; tx.lock held */
void drive_tx(struct xvmc_service *sv, struct xvmc_endpoint *ep, uint64_t now);
void drive_stuck(struct xvmc_service *sv, struct xvmc_endpoint *ep, uint64_t now);

/* drive.c */
/* It wants attention then, if not before. */
static inline void drive_due(struct xvmc_endpoint *ep, uint64_t at)
{
	if (!ep->svc.due_ns || at < ep->svc.due_ns)
		ep->svc.due_ns = at;
}
void drive(struct xvmc_service *sv, struct xvmc_endpoint *ep, uint64_t now);
/* Begins to leave: both directions to TCP, then detach; pin: for good. */
void drive_leave(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		 enum xvmc_reason why, bool pin);

#endif
