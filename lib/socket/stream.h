/* SPDX-License-Identifier: MIT */
/*
 * What stream.c and stream-wait.c share: the ways to wait in a call on a
 * MANAGED endpoint.
 */
#ifndef XVMC_SOCKET_STREAM_H
#define XVMC_SOCKET_STREAM_H

#include "base/unwind.h"
#include "internal.h"
#include "interrupt.h"

/* Waits a little for the ring to fill, to drain; the direction's lock held.
 * True: it pays to look again. */
bool stream_spin_rx(struct xvmc_endpoint *ep);
bool stream_spin_tx(struct xvmc_endpoint *ep);

/* A call that sleeps keeps the connection open, whoever closes its number. */
struct visit {
	struct xvmc_endpoint *ep;
	bool inside;
	struct interrupt in;
};

/* Sleeps on a direction's bell; no lock held, wait_begin done, bell armed: it
 * calls wait_end, also if the thread is cancelled. deadline: of os_now_ns, or
 * 0; restart: as SA_RESTART says, else every signal ends it. 0: woken; -EINTR;
 * -EAGAIN: deadline. */
int stream_sleep(struct visit *v, short event, uint64_t deadline, bool restart);

void visit_begin(struct visit *v);
/* A cleanup handler. */
void visit_end(void *visit);

#endif
