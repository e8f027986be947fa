/* SPDX-License-Identifier: MIT */
/*
 * The harness of the conformance programs. Each program does one thing to a
 * TCP connection and prints what it saw, the same on every run; run.sh holds
 * plain TCP, accelerated, continually switched, and preloaded without a peer
 * against each other. Nothing is expected by hand: the kernel is the oracle.
 *
 * A program has either two processes, conf_two(server, client), or both ends
 * in one, conf_pair(). Either way the connection is warmed up first: round
 * trips until it is worth a ring and, where CONF_RING=1 says so, until both
 * directions are on one. What the two ends do is put in order by
 * conf_step(), which waits for the other end by other means than the
 * connection.
 */
#ifndef CONF_H
#define CONF_H

#include "conf-child.h"
#include "conf-io.h"
#include "conf-pair.h"
#include "conf-say.h"
#include "conf-sleep.h"
#include "conf-steer.h"

#endif
