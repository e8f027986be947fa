/* SPDX-License-Identifier: MIT */
/*
 * A process's connection to its xvmcd (include/xvmc/agent.h): connect, say
 * hello, send and receive whole messages. Used by the service thread only.
 */
#ifndef XVMC_EVENT_AGENT_H
#define XVMC_EVENT_AGENT_H

#include "xvmc/agent.h"

struct xvmc_agent {
	int fd; /* -1: not connected */
	struct xvmc_ag_welcome self;
};

union xvmc_agent_msg {
	struct xvmc_agent_hdr hdr;
	struct xvmc_ag_welcome welcome;
	struct xvmc_ag_word word;
	struct xvmc_ag_match match;
	struct xvmc_ag_relay relay;
	struct xvmc_ag_migrate migrate;
	struct xvmc_ag_steer steer;
	uint8_t room[XVMC_AGENT_MAX];
};

/* Connects to dir/agent.sock, says HELLO as domain, waits (bounded) for
 * WELCOME. stats_fd is passed along, or -1. -ENOENT, -ECONNREFUSED: nobody
 * there; -EPROTO: it speaks otherwise. */
int xvmc_agent_open(struct xvmc_agent *agent, const char *dir, const char *domain,
		    int stats_fd);
void xvmc_agent_close(struct xvmc_agent *agent);

/* Sends one message, hdr.type and hdr.len being set. Never blocks for long;
 * a xvmcd that does not read for a second counts as gone (-EIO). */
int xvmc_agent_send(struct xvmc_agent *agent, struct xvmc_agent_hdr *hdr);

/* Receives one message. 1: there is one; -EAGAIN; -EIO: xvmcd is gone, or
 * talks nonsense. */
int xvmc_agent_recv(struct xvmc_agent *agent, union xvmc_agent_msg *ret_msg);

#endif
