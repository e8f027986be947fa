/* SPDX-License-Identifier: MIT */
/*
 * xvmcd's state, and what its files say to each other. One process, one
 * thread, one loop:
 *
 *   main.c     lock, sockets, start, end  options.c the command line
 *   loop.c     events and timers            conn.c    packets
 *   board.c    the membership board         log.c     one line per event
 *   hvcalls.c  hv.sock: hypercalls          agent.c   agent.sock: processes
 *   match.c    which two registered connections are one
 *   migrate.c  a migration from its announcement to its end
 *   tools.c    what the tools ask for
 *
 * and in a Xen guest, where there is a hypervisor already and the other
 * guests have an xvmcd of their own:
 *
 *   xen.c      this guest, who else is here   peer.c   a peer, its processes
 *   route.c    who matches which connection   ctl.c    frames between guests
 *   notice.c   migrations by the toolstack    dom0.c   dom0's part
 *   holder.c   keeps stale channels
 */
#ifndef XVMCD_H
#define XVMCD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/rundir.h"
#include "conn.h"
#include "hv/local-host.h"
#include "loop.h"
#include "xvmc/agent.h"

#define MS 1000000u /* in ns */

#ifndef XVMC_VERSION
#define XVMC_VERSION "development"
#endif

struct options {
	const char *dir; /* NULL: as xvmc_rundir finds it */
	const char *host;
	const char *log; /* NULL: by mode; "-": standard error */
	uint32_t idle_exit; /* seconds, 0: never */
	int ready_fd;
	bool background;
	bool open;
	bool xen, dom0;
	struct xvmc_lh_limits limits;
};

/* A connection to agent.sock, before and after its HELLO. */
struct agent {
	struct conn conn; /* first */
	uint32_t role;    /* enum xvmc_role, 0 before HELLO */
	struct xvmc_lh_dom *dom; /* an APP's */
	uint64_t netns;
	uint32_t naddrs;
	struct in6_addr addr[XVMC_ADDRS_MAX];
	char comm[16];
	int stats_fd;
	struct xvmc_list regs;   /* match.c */
	struct xvmc_list adopts; /* match.c: answers it waits for */
	struct xvmc_list owed;   /* migrate.c: PREPARED answers */
	uint32_t number;         /* of all this xvmcd has had, from 1 */
	struct peer *peer;       /* Xen: the guest it stands for a process of */
	bool has_more;           /* pages.c: it may have rings larger than usual */
	uint32_t query;          /* tools.c: the QUERY it has not ended, or 0 */
};

/* A connection to hv.sock. */
struct hvc {
	struct conn conn; /* first */
	bool welcome;
	struct xvmc_lh_client client;
	uint32_t cut; /* migrate.c: the CUT_DONE it owes, or 0 */
};

struct matcher;

struct xvmcd {
	struct options opt;
	char dir[XVMC_RUNDIR_MAX]; /* absolute */
	struct loop *loop;
	struct xvmc_lh *lh;
	struct xvmc_board *board;
	int board_fd; /* read-only: for processes */
	int ff_fd;
	struct matcher *matcher;
	struct xvmc_list agents, hvs, dead;
	struct xvmc_list migrations;
	struct xvmc_list lists; /* tools.c: `xvmc ss` under way */
	uint32_t serial;        /* of PREPARE, CUT, QUERY */
	uint32_t nconns;
	uint32_t last_number; /* of an agent */
	struct xen_mode *xen; /* NULL: local mode */
	struct timer idle;
	bool shutdown; /* a tool asked for it */
	uint32_t nended; /* processes whose counts are in here */
	uint64_t ended[XVMC_STATS_MAX];
};

/* ---- options.c ---- */

/* Ends xvmcd if it makes no sense, or was a question. */
void options_parse(int argc, char **argv, struct options *opt);

/* ---- log.c ---- */

int log_open(const char *path);
void log_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* It cannot start: says why on standard error, which whoever starts it reads. */
void die(int status, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/* ---- board.c ---- */

/* Opens the board, or makes it; domains found there are recovered. */
int board_open(struct xvmcd *d);
void board_put(struct xvmcd *d, const struct xvmc_lh_dom *dom);
void board_clear(struct xvmcd *d, uint32_t slot);
/* On Xen: where others may arrive from. */
void board_nets(struct xvmcd *d, const struct xvmc_board_net *nets, uint32_t n);

/* xvmcd ends; keep: living processes still need what the board says. */
void board_close(struct xvmcd *d, bool keep);

/* ---- agent.c ---- */

int agent_accept(struct xvmcd *d, int sock);

/* The form of a message: 0 or -EPROTO. */
int agent_check(const struct agent *agent, const void *msg, size_t len);

/* It belongs to its domain no more: links, counts, what others wait for. */
void agent_detach(struct agent *agent);

/* A header alone: VMS, END. */
void agent_send_hdr(struct agent *agent, uint16_t type, int32_t status,
		    uint32_t serial);

/* To every process: membership changed. */
void agents_vms(struct xvmcd *d);

/* The domain of that name, made on the default host if it is new. An unused
 * automatic one makes room where there is none. */
int dom_get(struct xvmcd *d, const char *name, struct xvmc_lh_dom **ret_dom);

/* Ends the domain: its connections, its links, its place in the board. */
void dom_end(struct xvmcd *d, struct xvmc_lh_dom *dom);

/* ---- hvcalls.c ---- */

int hv_accept(struct xvmcd *d, int sock);
int hv_make_ff(int *ret_fd);
void hv_detach(struct hvc *hvc);
void hv_send_word(struct hvc *hvc, uint16_t type, uint32_t number);

/* ---- migrate.c ---- */

void migrate_start(struct agent *tool, const struct xvmc_ag_domop *op);
void migrate_prepared(struct agent *agent, uint32_t serial, int status);
void migrate_cut_done(struct hvc *hvc, uint32_t number);
void migrate_forget_agent(struct agent *agent);
void migrate_forget_hvc(struct hvc *hvc);

/* FINISH to every process of the domain and of its host: it has left. */
void migrate_say_finish(struct xvmcd *d, const struct xvmc_lh_dom *dom,
			uint32_t host, uint32_t old_domid);
bool migrate_running(struct xvmcd *d, const struct xvmc_lh_dom *dom);

/* Xen: dom0 says that the toolstack migrates dom, or that it is about to be
 * suspended for that. number: as dom0 calls this migration. */
#define NOTICE_NUMBER 20u
void migrate_noticed(struct xvmcd *d, struct xvmc_lh_dom *dom, const char *number,
		     bool suspend);
/* It is over, one way or the other, or dom is going. */
void migrate_off(struct xvmcd *d, const struct xvmc_lh_dom *dom);

/* ---- tools.c ---- */

void tools_list(struct agent *tool, uint32_t serial);
void tools_row(struct agent *agent, const struct xvmc_ag_row *row);
void tools_row_end(struct agent *agent, uint32_t serial);
void tools_forget_agent(struct agent *agent);
void tools_domains(struct agent *tool, uint32_t serial);
void tools_stats(struct agent *tool, uint32_t serial);
void tools_steer(struct agent *tool, const struct xvmc_ag_steer *steer);
void tools_create(struct agent *tool, const struct xvmc_ag_domop *op);
void tools_destroy(struct agent *tool, const struct xvmc_ag_domop *op);

/* The counts of a process that has ended go into the sum. */
void stats_keep(struct agent *agent);
/* One of those of a process that lives. */
uint64_t stats_of(const struct agent *agent, unsigned int stat);

/* ---- pages.c ---- */

void pages_asked(struct agent *agent, const struct xvmc_ag_pages *msg);

#endif
