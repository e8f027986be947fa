/* SPDX-License-Identifier: MIT */
/*
 * What makes a guest one that takes part: it is published, has a channel to
 * the other one's xvmcd, and can say whatever it likes there.
 */
#ifndef XVMC_TEST_HOSTILE_H
#define XVMC_TEST_HOSTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/hv.h"
#include "hv/xen-store.h"
#include "xvmcd/ctl.h"

/* Who we are, and whom it is about. */
extern struct xvmc_hv *hv;
extern struct xen_store *store;
extern uint32_t self, victim;
extern bool leads; /* we do */

/* The channel's pages, ours or theirs. */
struct ctl_link {
	struct xvmc_share share;
	struct xvmc_map map;
	struct xvmc_chan chan;
	uint8_t *base;
	uint32_t gref[CTL_PAGES];
	uint64_t prod, cons; /* of ours, of theirs */
};
extern struct ctl_link ctl_link;

_Noreturn void die(const char *what, int rc);
uint64_t now_ms(void);
void noise(void *to, size_t len);
uint32_t random_below(uint32_t n);

/* A path with two numbers in it; good until the next one. */
const char *path_of(const char *form, uint32_t a, uint32_t b);
/* A node that the victim may read. */
void put(const char *path, const char *text);

/* Published by dom0, and not any more. */
void take_part(void);
void leave(void);

/* A good channel, whoever leads. */
void channel(void);
/* For who leads: its parts. */
void pages(void);
void hear_ask(char *ret_ask);
void say_offer(const char *ask, uint32_t port, const uint32_t *gref);

/* A whole frame. False: the other one has not read for long. */
bool frame(uint32_t agent, const void *body, uint32_t len);
/* One of theirs. 0: nothing came in time. */
size_t frame_in(uint32_t *ret_agent, void *body, size_t max, int ms);
/* Less than that: bytes, the index behind them, the bell. */
void bytes_out(const void *from, size_t n);
volatile uint64_t *our_prod(void);
void ring_bell(void);

#endif
