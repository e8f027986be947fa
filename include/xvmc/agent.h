/* SPDX-License-Identifier: MIT */
/*
 * What a process and its xvmcd say to each other, and the board xvmcd
 * publishes. Local to one guest: native byte order, one user or one group.
 * What crosses guests is in abi.h and travels here as an opaque RELAY.
 *
 * The runtime directory ($XVMC_DIR, else /run/xvmc where writable, else
 * $XDG_RUNTIME_DIR/xvmc, else /tmp/xvmc-UID; mode 0700 unless the operator
 * says otherwise) holds:
 *   agent.sock  SOCK_SEQPACKET, one message a packet, this protocol
 *   hv.sock     the local backend's hypercalls (lib/hv/local-wire.h)
 *   board       the membership board below, mapped read-only by everyone
 *   xvmcd.lock  held by the running xvmcd (flock); its pid is inside
 */
#ifndef XVMC_AGENT_H
#define XVMC_AGENT_H

#include <assert.h>
#include <netinet/in.h>
#include <stdint.h>

#include "abi.h"

#define XVMC_AGENT_VERSION 2u
#define XVMC_NAME_MAX 32u /* of domains and hosts, with the NUL */
#define XVMC_ADDRS_MAX 16u

/* ---- the board: who is here, readable without a system call ---- */

#define XVMC_BOARD_MAGIC 0x58564d42u
#define XVMC_BOARD_DOMS 64u
#define XVMC_BOARD_NETS 16u
#define XVMC_BOARD_SIZE 65536u

/* Made by a HELLO, not by CREATE: its slot may be taken when no process of
 * it is left and the board is full. */
#define XVMC_BOARD_AUTO 0x01u
/* Xen: the guest this board is in; the others are its co-residents. */
#define XVMC_BOARD_SELF 0x02u

/* IPv4 addresses are stored v4-mapped. */
struct xvmc_board_dom {
	uint32_t in_use;
	uint32_t domid;
	uint32_t incarnation; /* what CPUID says on Xen [X 7] */
	uint32_t host;        /* index of the host it runs on */
	uint32_t naddrs;
	uint32_t flags; /* XVMC_BOARD_* */
	char name[XVMC_NAME_MAX];
	char host_name[XVMC_NAME_MAX];
	struct in6_addr addr[XVMC_ADDRS_MAX];
};

/* Xen: a network that one of the guest's interfaces is on, so that a guest with
 * an address of it may be migrated to this host. */
struct xvmc_board_net {
	struct in6_addr addr; /* the interface's own */
	uint32_t bits;        /* of 128; the rest is the others' */
};

/*
 * seq is odd while xvmcd writes; a reader takes seq (acquire), copies, and
 * compares again. incarnation and domid may be read alone, as one word; when
 * a domain moves, incarnation is written before domid. A new xvmcd in the
 * same directory takes the board over in place: a mapping stays good.
 * Loopback addresses are not listed: they lead to a domain of this board
 * whenever it has more than none.
 */
struct xvmc_board {
	uint32_t magic;
	uint32_t version; /* XVMC_AGENT_VERSION */
	uint32_t seq;
	uint32_t xvmcd_pid; /* 0: it has ended properly */
	uint32_t local; /* 1: the local backend; 0: Xen */
	uint32_t next_domid; /* the next one to be given out */
	uint32_t pad[10];
	struct xvmc_board_dom dom[XVMC_BOARD_DOMS];
	uint32_t nnets;
	struct xvmc_board_net net[XVMC_BOARD_NETS];
};
static_assert(sizeof(struct xvmc_board) <= XVMC_BOARD_SIZE, "board");

/* ---- messages ---- */

enum xvmc_agent_type {
	/* process -> xvmcd */
	XVMC_AG_HELLO = 1,      /* first message; may carry the stats memfd */
	XVMC_AG_REGISTER = 2,   /* this connection is eligible */
	XVMC_AG_UNREGISTER = 3, /* not any more: closed, or pinned to TCP */
	XVMC_AG_RELAY = 4,      /* set-up message for the other end of a link */
	XVMC_AG_UNLINK = 5,     /* this link has ended */
	XVMC_AG_PREPARED = 6,   /* answer to PREPARE; status -EAGAIN: not all yet */
	XVMC_AG_ROW = 7,        /* answer to QUERY: one connection; last: END */
	XVMC_AG_ADOPT = 8,      /* a forked child uses an inherited socket */
	XVMC_AG_HOLD = 9,       /* Xen: keep a duplicate of this channel's fd */
	XVMC_AG_DROP = 10,      /* Xen: it has been closed in good order */
	XVMC_AG_PAGES = 11,     /* may a ring be larger? Answered by the same */

	/* xvmcd -> process */
	XVMC_AG_WELCOME = 16,
	XVMC_AG_MATCH = 17,   /* both ends registered and co-resident */
	XVMC_AG_RELAYED = 18, /* from the other end */
	XVMC_AG_UNLINKED = 19,
	XVMC_AG_VMS = 20,     /* membership changed: look at the board */
	XVMC_AG_KEEP = 21,    /* keep_con_with_migration: a migration began */
	XVMC_AG_PREPARE = 22, /* about to suspend: switch, unmap, answer */
	XVMC_AG_FINISH = 23,  /* finish_mig: a domain has left, or has died */
	XVMC_AG_QUERY = 24,   /* send your connections as ROWs */
	XVMC_AG_STEER = 25,   /* promote or demote */
	XVMC_AG_YIELD = 26,   /* a child uses link's socket: to TCP for good */
	XVMC_AG_SHORT = 27,   /* pages have run out: larger rings make way */

	/* tool -> xvmcd and back */
	XVMC_AG_LIST = 32, /* ss: answered by ROWs, then END */
	XVMC_AG_DOMAINS = 33,  /* vms: answered by DOMs, then END */
	XVMC_AG_DOM = 34,
	XVMC_AG_STATS = 35,    /* stat: answered by STATS_ROW, then END */
	XVMC_AG_STATS_ROW = 36,
	XVMC_AG_MIGRATE = 37,  /* answered by END when it has finished */
	XVMC_AG_CREATE = 38,   /* make a domain on a host; END */
	XVMC_AG_DESTROY = 39,  /* end a domain: its links die as if killed */
	XVMC_AG_SHUTDOWN = 40, /* end xvmcd; END first */
	XVMC_AG_END = 41,      /* status: 0 or -errno */
};

struct xvmc_agent_hdr {
	uint32_t version; /* XVMC_AGENT_VERSION */
	uint16_t type;
	uint16_t len; /* of the whole message */
	int32_t status;
	uint32_t serial; /* the asker's number; what answers repeats it */
};
static_assert(sizeof(struct xvmc_agent_hdr) == 16, "agent header");

enum xvmc_role {
	XVMC_ROLE_APP = 1,  /* libxvmc in a process */
	XVMC_ROLE_TOOL = 2, /* xvmc, xvmc-run */
};

/* XVMC_AG_HELLO. addr: the addresses of the sender's network namespace.
 * An APP passes one descriptor, its stats page (struct xvmc_stats_page). */
struct xvmc_ag_hello {
	struct xvmc_agent_hdr hdr;
	uint32_t role;
	uint32_t naddrs;
	uint64_t netns; /* inode number of /proc/self/ns/net, or 0 */
	char domain[XVMC_NAME_MAX];
	char comm[16];
	struct in6_addr addr[XVMC_ADDRS_MAX];
};

/* XVMC_AG_WELCOME */
struct xvmc_ag_welcome {
	struct xvmc_agent_hdr hdr;
	uint32_t domid;
	uint32_t incarnation;
	uint32_t slot; /* of our domain in the board */
	uint32_t xen;  /* 1: the backend is Xen's */
};

struct xvmc_ag_addr {
	struct in6_addr ip; /* v4-mapped where IPv4 */
	uint16_t port;      /* host order */
	uint16_t pad[3];
};

/* XVMC_AG_REGISTER. epid: the process's own number for the connection, never
 * used again by this process. local and remote as this end sees them.
 * pages_max: of data, in the largest ring that this end cares to map; 0: any. */
struct xvmc_ag_register {
	struct xvmc_agent_hdr hdr;
	uint32_t epid;
	uint32_t pages_max;
	struct xvmc_ag_addr local;
	struct xvmc_ag_addr remote;
	uint64_t link; /* after xvmcd was restarted: the link this end still
			* has, else 0. If the other end says the same one, it
			* goes on and no MATCH is sent. */
};

/* XVMC_AG_ADOPT, from one of several processes that have a connection open since
 * a fork: the endpoint epid of its owner, whose end of link is to go to TCP (the
 * owner gets YIELD and answers UNLINK with XVMC_R_FORK when it is there).
 * Answered by END: 0: the owner is on TCP; -ESRCH: it is gone; -ETIMEDOUT. */
struct xvmc_ag_adopt {
	struct xvmc_agent_hdr hdr;
	uint32_t pid; /* the owner's */
	uint32_t epid;
	uint64_t link;
};

/* XVMC_AG_UNREGISTER, _UNLINK, _UNLINKED, _YIELD, _PREPARED, _QUERY; _HOLD
 * (with the descriptor) and _DROP: link is the port */
struct xvmc_ag_word {
	struct xvmc_agent_hdr hdr;
	uint32_t epid;
	uint32_t reason; /* enum xvmc_reason */
	uint64_t link;
};

/* XVMC_AG_MATCH. strict: the ends are in different network namespaces, so that
 * equal addresses prove less: byte counts must agree exactly before a switch.
 * pages_max: as the other end has said it. */
struct xvmc_ag_match {
	struct xvmc_agent_hdr hdr;
	uint32_t epid;
	uint32_t peer_domid;
	uint64_t link;
	uint32_t pages_max;
	uint32_t strict;
};

/* XVMC_AG_RELAY, _RELAYED: a message of abi.h for the link's other end. */
struct xvmc_ag_relay {
	struct xvmc_agent_hdr hdr;
	uint32_t epid;
	uint32_t pad;
	uint64_t link;
	uint8_t body[XVMC_SETUP_MAX];
};

/* XVMC_AG_KEEP, _PREPARE, _FINISH: domain slot is concerned; self says
 * whether it is the receiver's own. */
struct xvmc_ag_migrate {
	struct xvmc_agent_hdr hdr;
	uint32_t slot;
	uint32_t self;
	uint32_t old_domid;
	uint32_t serial; /* PREPARED answers with it in epid */
};

/* XVMC_AG_PAGES: so many pages more than the ring of epid has. Answered with status
 * 0; or -ENOSPC: the guest has too few left, or is about to migrate. pages 0: none
 * were left for a ring of the usual size; there is no answer. */
struct xvmc_ag_pages {
	struct xvmc_agent_hdr hdr;
	uint32_t epid;
	uint32_t pages;
	uint32_t more; /* 1: it is to be larger than is usual; 0: the usual size */
	uint32_t pad;
};

/* XVMC_AG_ROW: one end of one connection, as `xvmc ss` shows it. */
struct xvmc_ag_row {
	struct xvmc_agent_hdr hdr;
	uint32_t pid;
	uint32_t epid;
	int32_t fd;
	uint32_t peer_domid;
	uint64_t link;
	struct xvmc_ag_addr local;
	struct xvmc_ag_addr remote;
	uint8_t tx_path, rx_path;     /* enum xvmc_path */
	uint8_t tx_reason, rx_reason; /* enum xvmc_reason */
	uint32_t switches;
	uint64_t ring_tx, ring_rx, tcp_tx, tcp_rx; /* bytes */
	uint32_t tx_size, rx_size; /* of the rings, in bytes; 0: there is none */
	char comm[16];
	char domain[XVMC_NAME_MAX]; /* this, host and pid: set by xvmcd */
	char host[XVMC_NAME_MAX];
};

/* XVMC_AG_STEER: to: enum xvmc_path; epid 0: all connections. As a tool's
 * message it goes to process pid, 0: every process. */
struct xvmc_ag_steer {
	struct xvmc_agent_hdr hdr;
	uint32_t pid;
	uint32_t epid;
	uint32_t to;
	uint32_t pad;
};

/* XVMC_AG_DOM */
struct xvmc_ag_dom {
	struct xvmc_agent_hdr hdr;
	uint32_t domid, incarnation, slot, nprocs, nlinks, naddrs;
	char name[XVMC_NAME_MAX];
	char host[XVMC_NAME_MAX];
	struct in6_addr addr[XVMC_ADDRS_MAX];
};

enum xvmc_migrate_how {
	XVMC_MIGRATE_PREPARED = 0,
	XVMC_MIGRATE_UNPREPARED = 1, /* as a plain `xl migrate` */
	XVMC_MIGRATE_CANCELLED = 2,  /* fails after prepare; resumes at home */
};

/* XVMC_AG_MIGRATE, _CREATE, _DESTROY. precopy_ms: how long pre-copy lasts. */
struct xvmc_ag_domop {
	struct xvmc_agent_hdr hdr;
	char domain[XVMC_NAME_MAX];
	char host[XVMC_NAME_MAX];
	uint32_t how;
	uint32_t precopy_ms;
};

/* XVMC_AG_STATS_ROW: the sum over all processes, living and ended. */
#define XVMC_STATS_MAX 96u
struct xvmc_ag_stats {
	struct xvmc_agent_hdr hdr;
	uint32_t pid; /* 0: the sum */
	uint32_t nprocs;
	char comm[16];
	char domain[XVMC_NAME_MAX];
	uint64_t value[XVMC_STATS_MAX]; /* by enum xvmc_stat, lib/base/stats.h */
};

#define XVMC_AGENT_MAX (sizeof(struct xvmc_ag_relay) + 256u)

#endif
