/* SPDX-License-Identifier: MIT */
/*
 * A real xvmcd in a directory of its own, for tests, and a bare-handed client
 * of agent.sock.
 */
#ifndef XVMC_TEST_XVMCD_H
#define XVMC_TEST_XVMCD_H

#include <stdbool.h>
#include <sys/types.h>

#include "xvmc/agent.h"

struct xvmcd_run {
	char dir[64];
	pid_t pid;
	unsigned int nofile; /* its RLIMIT_NOFILE from the next start on; 0: ours */
};

/* Makes a directory and starts xvmcd in it, with up to 8 more options, NULL
 * at the end. Returns when it is ready. */
void xvmcd_start(struct xvmcd_run *run, ...) __attribute__((sentinel));

/* Starts one again in the same directory. */
void xvmcd_restart(struct xvmcd_run *run, ...) __attribute__((sentinel));

/* Ends it by signal sig and returns its wait status. The directory stays. */
int xvmcd_kill(struct xvmcd_run *run, int sig);

/* Ends it if it runs, and removes the directory. */
void xvmcd_stop(struct xvmcd_run *run);

/* The same, as a program: runs it to its end, captures what it says. */
int xvmcd_main(char *ret_out, size_t size, ...) __attribute__((sentinel));

/* ---- agent.sock ---- */

union agent_msg {
	struct xvmc_agent_hdr hdr;
	struct xvmc_ag_hello hello;
	struct xvmc_ag_welcome welcome;
	struct xvmc_ag_register reg;
	struct xvmc_ag_word word;
	struct xvmc_ag_match match;
	struct xvmc_ag_relay relay;
	struct xvmc_ag_adopt adopt;
	struct xvmc_ag_migrate migrate;
	struct xvmc_ag_row row;
	struct xvmc_ag_steer steer;
	struct xvmc_ag_dom dom;
	struct xvmc_ag_domop domop;
	struct xvmc_ag_stats stats;
	struct xvmc_ag_pages pages;
	char room[XVMC_AGENT_MAX];
};

int agent_connect(const struct xvmcd_run *run);

/* Fills in version, type and len, and sends. */
void agent_send(int sock, uint16_t type, void *msg, size_t len);

/* The next message, at most 5 s away. Returns its length; 0: closed. */
size_t agent_recv(int sock, union agent_msg *ret_msg);

/* Whether anything is there. */
bool agent_quiet(int sock);

/* The next message but VMS; it must be of that type. */
void agent_expect(int sock, uint16_t type, union agent_msg *ret_msg);

/* The connection must be closed by now, or soon. */
void agent_expect_end(int sock);

/* Connects and says hello; returns the socket. */
int agent_hello(const struct xvmcd_run *run, uint32_t role, const char *domain,
		uint64_t netns, union agent_msg *ret_welcome);
int agent_app(const struct xvmcd_run *run, const char *domain);
int agent_tool(const struct xvmcd_run *run);

/* One request of a tool's that is answered by END alone; its status. */
int agent_domop(int tool, uint16_t type, const char *domain, const char *host,
		uint32_t how, uint32_t precopy_ms);

/* Waits until xvmcd has handled what was sent before, on any connection. */
void agent_sync(const struct xvmcd_run *run);

#endif
