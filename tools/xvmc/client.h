/* SPDX-License-Identifier: MIT */
/*
 * A tool's end of xvmcd's socket (agent.h): connect, ask, collect the rows
 * of an answer. Shared by xvmc and xvmc-run; a process under libxvmc has its
 * own, which never blocks.
 *
 * Threads: one per connection. exec: the descriptor is CLOEXEC.
 * Errors: -errno; what xvmcd answers in END comes back unchanged.
 */
#ifndef XVMC_TOOLS_CLIENT_H
#define XVMC_TOOLS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xvmc/agent.h>

#define CLIENT_TIMEOUT_MS 5000

/* Any message of agent.h that a tool may receive. */
union client_msg {
	struct xvmc_agent_hdr hdr;
	struct xvmc_ag_row row;
	struct xvmc_ag_dom dom;
	struct xvmc_ag_stats stats;
	uint8_t bytes[XVMC_AGENT_MAX];
};

/*
 * Connects to the xvmcd of runtime directory dir and says HELLO as a tool.
 * -ENOENT, -ECONNREFUSED: none runs there. -EPROTO: it speaks otherwise.
 */
int client_open(const char *dir, int *ret_fd);

/* The same, and makes the domain where it is missing, with the addresses of
 * this network namespace. */
int client_open_in(const char *dir, const char *domain, int *ret_fd);

void client_close(int fd);

/* Fills in the header and sends. msg begins with a struct xvmc_agent_hdr. */
int client_send(int fd, uint16_t type, void *msg, size_t len);

/* Receives one message, checked as far as its header. -ETIMEDOUT;
 * -ECONNRESET: xvmcd is gone; -EPROTO. */
int client_recv(int fd, int timeout_ms, union client_msg *ret_msg);

/*
 * Sends msg (NULL: a bare header) and takes the answer up to its END: each message of type
 * row_type is handed to row (negative: give up with that). Returns what END
 * says. timeout_ms counts from the last message.
 */
typedef int (*client_row_fn)(const union client_msg *msg, void *arg);
int client_ask(int fd, uint16_t type, void *msg, size_t len, int timeout_ms,
	       uint16_t row_type, client_row_fn row, void *arg);

/* The addresses of this network namespace but loopback and link-local ones;
 * IPv4 v4-mapped. Returns how many, at most max. */
uint32_t client_addrs(struct in6_addr *ret_addrs, uint32_t max);

/* True where this machine runs on Xen. */
bool client_on_xen(void);

/*
 * The runtime directory: dir if not NULL, else by the rule of rundir.h.
 * ret_dir: XVMC_RUNDIR_MAX bytes.
 */
int client_dir(const char *dir, char *ret_dir);

/* What -errno of this file means, for one line to the user. */
const char *client_strerror(int rc);

#endif
