/* SPDX-License-Identifier: MIT */
/*
 * A TCP connection that lives in memory: two bounded byte pipes with partial
 * reads and writes, delay, end of stream and reset, as Linux shows them to a
 * program. It implements struct xvmc_tcp_ops. One thread.
 *
 * What Linux does and this does too: bytes that arrived before a reset can
 * still be read; a reset is reported once, then the stream ends; closing with
 * unread bytes resets; bytes that arrive at a closed socket reset.
 */
#ifndef SIM_TCP_H
#define SIM_TCP_H

#include "conn/conn.h"
#include "sim-rng.h"

#define SIM_PIPE_CAP 65536u /* a power of two; bounds sndbuf + rcvbuf */

/* One direction. Positions count raw bytes, records and replays included. */
struct sim_pipe {
	uint8_t buf[SIM_PIPE_CAP];
	uint64_t taken, arrived, sent;
	uint64_t written; /* sent, with what a reset threw away */
	size_t sndbuf, rcvbuf;
	bool fin_sent, fin_arrived;
};

struct sim_sock {
	struct sim_tcp *tcp;
	unsigned int side;
	bool closed;  /* the process has no descriptor any more */
	bool reset;   /* a reset came in, or was sent by a close */
	int err;      /* to be reported once */
	bool inside;  /* a call is copying: state is not to be abandoned */
};

struct sim_tcp {
	struct sim_pipe pipe[2]; /* pipe[side] is what side writes */
	struct sim_sock sock[2];
	struct sim_rng *rng;
	bool no_counts; /* counts() says -EOPNOTSUPP */
	unsigned int partial; /* permille of calls that move less than they could */
	/* Called at the beginning and the end of every operation. */
	void (*hook)(void *arg, unsigned int side, bool before);
	void *hook_arg;
};

extern const struct xvmc_tcp_ops sim_tcp_ops;

void sim_tcp_init(struct sim_tcp *t, struct sim_rng *rng, size_t sndbuf,
		  size_t rcvbuf);

bool sim_tcp_readable(const struct sim_sock *s);
bool sim_tcp_writable(const struct sim_sock *s);
/* Bytes, or an end, are on their way from side. */
bool sim_tcp_in_flight(const struct sim_tcp *t, unsigned int side);
/* Moves some of side's bytes (all: as many as fit) to the other end. */
void sim_tcp_deliver(struct sim_tcp *t, unsigned int side, bool all);
/* close(2), or the kernel's half of a process's death. */
void sim_tcp_close(struct sim_sock *s);

/* For callers that are not a conn_t: one buffer. */
ssize_t sim_tcp_send(struct sim_sock *s, const void *buf, size_t n);
ssize_t sim_tcp_recv(struct sim_sock *s, void *buf, size_t n, bool peek);

#endif
