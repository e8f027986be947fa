/* SPDX-License-Identifier: MIT */
/*
 * Two conn_t's in one process, joined by the simulation's TCP connection and
 * hypervisor (tests/sim): what the tests of lib/conn begin with. Every helper
 * checks the invariants of both ends afterwards.
 */
#ifndef XVMC_TEST_CONN_PAIR_H
#define XVMC_TEST_CONN_PAIR_H

#include "conn/conn.h"
#include "fresh.h"
#include "sim-hv.h"
#include "sim-tcp.h"

#define PAIR_NEVER (UINT64_MAX / 2)

struct pair {
	struct sim_hv hv;
	struct sim_tcp tcp;
	struct sim_rng rng;
	struct xvmc_stats_page stats[2];
	struct conn_t c[2];
	struct fresh_marks marks;
};

/* cmocka's set-up and tear-down: a pair without rings, TCP with much room;
 * nothing may be left afterwards. */
int pair_setup(void **state);
int pair_teardown(void **state);

void pair_validate(struct pair *p);

/* The five steps of set-up for the direction from -> !from. */
void pair_attach(struct pair *p, unsigned int from, unsigned int order);

/* Announces, acknowledges, settles, and lets the receiver find the record. */
void pair_to_ring(struct pair *p, unsigned int from);

/* The first half of it: up to the acknowledgement. */
void pair_agree(struct pair *p, unsigned int from);

/* All that TCP has on its way arrives. */
void pair_deliver(struct pair *p);

/* A byte of direction from, by its position. */
uint8_t pair_byte(unsigned int from, uint64_t pos);

/* Writes the next n bytes; reads and compares at most n. As the calls do. */
ssize_t pair_write(struct pair *p, unsigned int from, size_t n);
ssize_t pair_read(struct pair *p, unsigned int at, size_t n, bool peek);

/* Reads exactly n bytes, delivering and pumping as needed. */
void pair_read_all(struct pair *p, unsigned int at, size_t n);

/* The process at one end dies: its TCP ends in order, its word is told. */
void pair_kill(struct pair *p, unsigned int who);

/* Reads n bytes that are here already, whatever has become of the sender. */
void pair_drain(struct pair *p, size_t n);

/* A new connection, between new processes. */
void pair_renew(struct pair *p);

/* The events raised at an end since the last call. */
uint32_t pair_events(struct pair *p, unsigned int at);

#endif
