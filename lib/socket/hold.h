/* SPDX-License-Identifier: MIT */
/*
 * Who may use a connection that several processes have open since a fork: one
 * word per connection, in memory that all of them share. What a process does
 * when it has asked the word is fork.c's.
 *
 * A process **holds** a direction of a connection while it may use that without
 * asking. Whoever made the connection holds both; a forked child holds none,
 * however many descriptors it has inherited: it takes a hold with its first use
 * of either, and gives it back when it has closed the last number, or ends in
 * order; or while it keeps it open, at a fork, or when another process has asked
 * it to leave its rings: then its next use takes one again. The word counts the
 * holds. Who is the only one to read may claim the connection for rings, and owns
 * it until it is back on plain TCP; the way out is its as well if it is the only
 * one to write, else it stays on TCP and whoever has a hold of it writes there.
 * Who takes a hold of a direction that is owned has to wait until the owner has
 * left, and the owner cannot come back to it then, for it does not hold it alone
 * any more.
 *
 * Beside it stands how many processes have the connection open. That may be too
 * many, never too few: who alone has it open may do with it what only the last
 * one can, as to end it by closing.
 *
 * A hold that is not given back (the process was killed, or has executed a
 * program that did not take it up) keeps the connection on TCP; so does a
 * connection that is spoilt: somebody we cannot ask may have it.
 *
 * Threads, processes: any. fork: the memory is shared. exec: the new program maps
 * it again (exec.c), so it is part of the note there: who changes struct hold
 * changes NOTE_MAGIC.
 */
#ifndef XVMC_SOCKET_HOLD_H
#define XVMC_SOCKET_HOLD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What a process has moved while it held the connection. Sums over processes:
 * where they are complete they are the connection's positions, and agree with
 * the kernel's counts. */
enum { HOLD_SENT, HOLD_TX_RING, HOLD_TX_EXTRA, HOLD_RCVD, HOLD_RX_RING, HOLD_RX_EXTRA, HOLD_SUMS };
struct hold_sums {
	uint64_t of[HOLD_SUMS];
};

/* Directions: what comes, what goes. */
#define HOLD_RX 1u
#define HOLD_TX 2u
#define HOLD_BOTH (HOLD_RX | HOLD_TX)

struct hold {
	_Atomic uint64_t word;
	_Atomic uint64_t link;  /* the owner's, for xvmcd; a hint ... */
	_Atomic uint32_t epid;  /* ... and what the owner calls it */
	_Atomic uint32_t opens; /* processes that may have it open */
	/* Times that one of them has changed how calls on it wait. */
	_Atomic uint32_t settings;
	/* of those who have given their hold back, until somebody claims */
	_Atomic uint64_t given[HOLD_SUMS];
};

/* Held and open by one process, both directions, which owns them if owner is not
 * 0. dirs and what is returned as such: of HOLD_RX and HOLD_TX. */
void hold_init(struct hold *h, pid_t owner);
/* One holder more of these. It may use them once hold_in_way() says 0. */
void hold_take(struct hold *h, unsigned int dirs);
/* One less. It owns none of these, and nothing is under way there. Of sums only
 * theirs count. */
void hold_give(struct hold *h, unsigned int dirs, const struct hold_sums *sums);
/* A holder of these would own what it holds alone, HOLD_RX at least, of which it
 * gets a hold with it if nobody has one: what that is, and in *ret_sums what was
 * given back there, to be added to its own. 0: nothing has changed. */
unsigned int hold_claim(struct hold *h, pid_t pid, unsigned int held,
			struct hold_sums *ret_sums);
/* The owner of HOLD_RX holds HOLD_TX, too, and would own it: as above. */
bool hold_claim_tx(struct hold *h, pid_t pid, struct hold_sums *ret_sums);
/* The owner is back on plain TCP. */
void hold_release(struct hold *h);
/* The owner asks: has anybody else taken a hold of what it owns? */
bool hold_wanted(const struct hold *h);
/* Waits while that one owns any of these, at most so long; true: it does no more.
 * Makes no other system call than futex. */
bool hold_await(struct hold *h, unsigned int dirs, pid_t owner, uint64_t ns);
/* Nobody shall ever own it again. */
void hold_spoil(struct hold *h);

/* Who owns any of these; 0: nobody. */
pid_t hold_in_way(const struct hold *h, unsigned int dirs);
/* One process more, before it is forked; one less, when nothing of it is open
 * any more. */
void hold_open(struct hold *h);
void hold_closed(struct hold *h);
/* One that has it open asks: is it the only one? Then it stays so until it
 * forks. */
bool hold_sole(const struct hold *h);
/* A holder of these asks: would hold_claim succeed, as things are? */
bool hold_alone(const struct hold *h, unsigned int held);
/* One of HOLD_TX: does nobody else hold that, nor own it? */
bool hold_alone_tx(const struct hold *h);

#endif
