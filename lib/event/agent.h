/* SPDX-License-Identifier: MIT */
/*
 * A process's connection to its xvmcd (include/xvmc/agent.h): connect, say
 * hello, send and receive whole messages. Used by the service thread only.
 */
#ifndef XVMC_EVENT_AGENT_H
#define XVMC_EVENT_AGENT_H

#include <stdbool.h>

#include "base/bytes.h"
#include "xvmc/agent.h"

/*
 * What xvmcd cannot take at once is queued: the caller may hold locks that the
 * program waits for. If nothing of it goes out for XVMC_AGENT_PATIENCE_NS, or
 * too much comes together, the connection is broken: the next call says -EIO.
 */
#define XVMC_AGENT_PATIENCE_NS 2000000000u

struct xvmc_agent {
	int fd; /* -1: not connected */
	struct xvmc_ag_welcome self;
	struct xvmc_bytes out; /* whole messages that wait for room */
	uint64_t out_ns;       /* since when nothing of them went */
	bool broken;
};

union xvmc_agent_msg {
	struct xvmc_agent_hdr hdr;
	struct xvmc_ag_welcome welcome;
	struct xvmc_ag_word word;
	struct xvmc_ag_match match;
	struct xvmc_ag_relay relay;
	struct xvmc_ag_migrate migrate;
	struct xvmc_ag_steer steer;
	struct xvmc_ag_pages pages;
	uint8_t room[XVMC_AGENT_MAX];
};

/* Connects to dir/agent.sock and says HELLO as domain. stats_fd is passed along,
 * or -1. -ENOENT, -ECONNREFUSED: nobody there; -EACCES: who is there is another
 * user, not root. */
int xvmc_agent_open(struct xvmc_agent *agent, const char *dir, const char *domain,
		    int stats_fd);
/* Waits (bounded) for WELCOME, the first that comes; messages may be sent before
 * that, which it hears in vain if this fails: close it then. -EPROTO: it speaks
 * otherwise, or will have nothing to do with us. */
int xvmc_agent_welcome(struct xvmc_agent *agent);
void xvmc_agent_close(struct xvmc_agent *agent);

/* Sends one message, hdr.type and hdr.len being set, or queues it; never
 * blocks. -EIO: the connection is gone or broken; close it. */
int xvmc_agent_send(struct xvmc_agent *agent, struct xvmc_agent_hdr *hdr);

/* HOLD (fd >= 0) or DROP. Not queued, but for DROP: who cannot have a channel
 * held must not use it. */
int xvmc_agent_hold(struct xvmc_agent *agent, uint32_t port, int fd);

/* Sends what is queued. 0: all of it; -EAGAIN: later; -EIO. */
int xvmc_agent_flush(struct xvmc_agent *agent);

/* Receives one message. 1: there is one; -EAGAIN; -EIO: xvmcd is gone, or
 * talks nonsense. */
int xvmc_agent_recv(struct xvmc_agent *agent, union xvmc_agent_msg *ret_msg);

#endif
