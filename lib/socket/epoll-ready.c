/* SPDX-License-Identifier: MIT */
/*
 * What an epoll set's managed members have to say: the readiness of one,
 * level-triggered, edge-triggered or one-shot, and the walk over the hot
 * list. Nothing here sleeps.
 */
#include "epoll.h"

#define MISSES_MAX 8u /* then a hot member is armed and leaves */
#define HARVEST 64
#define COUNT_MAX 64 /* hot members whose need of room is worth a look each */

/* ---- one registration ---- */

static uint32_t epoll_bits(short bits)
{
	uint32_t ev = (uint32_t)bits & (POLLIN | POLLOUT | POLLPRI | POLLRDHUP |
					POLLHUP | POLLERR);

	if (bits & POLLIN)
		ev |= EPOLLRDNORM;
	if (bits & POLLOUT)
		ev |= EPOLLWRNORM;
	return ev;
}

/* Bytes that are in the ring already, while the application has yet to read
 * what lies before them in TCP, and the record between. rx.lock held. */
static uint64_t ahead(const struct conn_rx *rx, uint64_t prod)
{
	if (rx->expect == XVMC_POS_NONE || prod <= rx->expect ||
	    prod - rx->expect > rx->r.size)
		return 0;
	return prod - rx->expect;
}

/*
 * An edge-triggered reader need not have drained the connection: it waits
 * for more than there is now. True if more has come meanwhile; then or not,
 * *rx_seen is where the stream has got to.
 */
static bool see_more(struct xvmc_endpoint *ep, bool arm, uint64_t *rx_seen)
{
	struct conn_rx *rx = &ep->conn.rx;
	bool more = false;
	ssize_t n;

	section_lock(&rx->lock);
	if (!xvmc_ep_managed(ep) || !rx->attached || rx->gone) {
		/* TCP, whose every edge the service thread passes on */
	} else if (rx->path == XVMC_PATH_RING) {
		n = xvmc_conn_rx_in_ring(&ep->conn);
		more = n >= 0 && arm &&
		       (rx->rcvd + (uint64_t)n > *rx_seen ||
			xvmc_conn_rx_arm(&ep->conn, (size_t)n + 1));
		if (n > 0 && !arm)
			*rx_seen = rx->rcvd + (uint64_t)n;
	} else if (rx->path == XVMC_PATH_TCP && rx->expect != XVMC_POS_NONE) {
		uint64_t prod = ring_see_prod(rx->r.s);
		uint64_t had = ahead(rx, prod);

		if (arm) {
			xvmc_hv_chan_ack(ep->conn.hv, &rx->chan);
			ring_arm_data(rx->r.r, rx->expect + had + 1);
			prod = ring_see_prod(rx->r.s);
			more = ahead(rx, prod) > had;
		}
		*rx_seen += had;
	}
	section_unlock(&rx->lock);
	return more;
}

/* What an edge-triggered registration has to say that it has not said. */
static bool edge(struct xvmc_epreg *reg, short bits, uint64_t rx, uint64_t tx)
{
	short want = epreg_wants(reg) | POLLRDHUP | POLLHUP | POLLERR;
	bool fresh = (bits & ~reg->last_bits & want) != 0;

	/* After an error nothing comes, however the count of it changes. */
	if (bits & reg->last_bits & POLLERR)
		return fresh;
	/* Nor after the end: what lies before it was there when it was told,
	 * and is read as one, wherever it lies. */
	if (bits & reg->last_bits & POLLRDHUP)
		return fresh || ((bits & want & POLLOUT) && tx > reg->last_tx);
	/* Not only more: while a record of the switch lay in the socket's
	 * queue it may have been counted. */
	if ((bits & want & POLLIN) && rx != reg->last_rx)
		fresh = true;
	/* Who has found less than it asked for believes it has all: bytes that
	 * were in a ring, and come again by TCP, are news to it. */
	if ((bits & want & POLLIN) && (uint8_t)reg->ep->dries != reg->last_dries)
		fresh = true;
	if ((bits & want & POLLOUT) && tx > reg->last_tx)
		fresh = true;
	return fresh;
}

uint32_t epreg_look(struct xvmc_epreg *reg, bool arm, bool tell)
{
	short want = epreg_wants(reg);
	uint8_t dries;
	uint32_t now;
	uint64_t rx, tx;
	short bits;
	bool more;

again:
	dries = (uint8_t)reg->ep->dries;
	bits = xvmc_ep_poll(reg->ep, arm ? want : 0, &rx, &tx);
	now = epoll_bits(bits) &
	      ((reg->events & EPREG_READY) | EPOLLHUP | EPOLLERR);
	if (!(reg->events & EPOLLET)) {
		reg->last_bits = bits;
		return now;
	}
	more = see_more(reg->ep, arm && (want & bits & POLLIN), &rx);
	if (now && edge(reg, bits, rx, tx)) {
		if (tell) {
			reg->last_rx = rx;
			reg->last_tx = tx;
			reg->last_bits = bits;
			reg->last_dries = dries;
		}
		return now;
	}
	/* A bit that has gone may come back as an edge. */
	reg->last_bits &= bits;
	if (more)
		goto again;
	return 0;
}

/* ---- the hot list; set->lock held ---- */

static void report(struct xvmc_epreg *reg, uint32_t now, struct epoll_event *ev)
{
	ev->events = now;
	ev->data = reg->data;
	epreg_cool(reg);
	if (reg->events & EPOLLONESHOT) {
		reg->fired = true;
		return;
	}
	/* Level-triggered: still ready until a look says otherwise. Edge-
	 * triggered: to be armed at the next wait, not before. At the end of
	 * the list, so that all get their turn. */
	epreg_heat(reg);
}

/* Not worth a look under the locks unless a glance says so. Who asks for
 * nothing hears of HUP and ERR, which come from where data comes. */
static bool maybe(struct xvmc_epreg *reg)
{
	short want = epreg_wants(reg);

	return (reg->events & EPOLLET) ||
	       xvmc_ep_glance_held(reg->ep, want ? want : POLLIN);
}

int epset_count(struct xvmc_epset *set, int max)
{
	int n = 0, left = COUNT_MAX;

	for (struct xvmc_list *it = set->hot.next; it != &set->hot && n < max;
	     it = it->next) {
		struct xvmc_epreg *reg =
			xvmc_list_entry(it, struct xvmc_epreg, hot_link);

		/* What is not looked at counts: too little room for the kernel
		 * is made good by the next wait. */
		if (left == 0 || (maybe(reg) && epreg_look(reg, false, false)))
			n++;
		left -= left > 0;
	}
	return n;
}

int epset_collect(struct xvmc_epset *set, uint32_t as_of, struct epoll_event *evs,
		  int max, bool arm)
{
	uint32_t todo = set->nhot;
	int n = 0;

	while (todo-- && n < max) {
		struct xvmc_epreg *reg = xvmc_list_entry(
			set->hot.next, struct xvmc_epreg, hot_link);
		bool last_try = arm || reg->misses >= MISSES_MAX;
		bool later = (int32_t)(reg->since - as_of) > 0;
		uint32_t now = later ? 0 : last_try || maybe(reg) ?
				       epreg_look(reg, last_try, true) : 0;
		uint8_t misses = reg->misses;

		if (now) {
			report(reg, now, &evs[n++]);
			/* Others sleep on this set: the next edge is theirs. */
			if (arm && (reg->events & EPOLLET) && !reg->fired &&
			    !epreg_look(reg, true, false))
				epreg_cool(reg);
			continue;
		}
		epreg_cool(reg);
		if (!last_try || later) {
			epreg_heat(reg);
			reg->misses = (uint8_t)(misses + 1);
		}
	}
	return n;
}

/* ---- bells that rang ---- */

void epset_harvest(struct xvmc_epset *set)
{
	struct epoll_event evs[HARVEST];
	int n;

	do {
		n = set->inner < 0 ? 0 : os_epoll_pwait(set->inner, evs, HARVEST, 0, NULL);
		section_lock(&set->lock);
		for (int i = 0; i < n; i++) {
			struct xvmc_epreg *reg = epreg_of(evs[i].data.u64);

			if (reg && reg->kind == EPREG_ENDPOINT && reg->set == set)
				epreg_heat(reg);
		}
		section_unlock(&set->lock);
	} while (n == HARVEST);
}

/* ---- the epfd itself in a poll set ---- */

bool epset_ready(struct xvmc_epset *set, bool arm)
{
	uint32_t todo;
	bool ready = false;

	epset_harvest(set);
	section_lock(&set->lock);
	todo = set->nhot;
	while (todo-- && !ready) {
		struct xvmc_epreg *reg = xvmc_list_entry(
			set->hot.next, struct xvmc_epreg, hot_link);

		ready = epreg_look(reg, arm, false) != 0;
		if (!ready) {
			epreg_cool(reg);
			if (!arm)
				epreg_heat(reg);
		}
	}
	/* Harvesting took what made the epfd readable for another epoll. */
	if (ready && atomic_load(&set->watched))
		epset_wake(set);
	section_unlock(&set->lock);
	return ready;
}
