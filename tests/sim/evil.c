/* SPDX-License-Identifier: MIT */
/*
 * A peer that lies: it goes through the set-up like an honest one, or nearly
 * so, and then writes into every word it can reach what an honest one never
 * would. It looks at the other side's conn_t to hit what hurts. What is asked
 * of the honest side is to stay alive, in order, and in bounds.
 */
#include <string.h>

#include "sim.h"

static struct sim_evil *evil_of(struct sim_end *e)
{
	return &e->sim->evil;
}

static struct xvmc_hv *hv_of(struct sim_end *e)
{
	return &e->sim->hv.dom[e->guest].hv;
}

static const struct conn_t *victim(const struct sim_end *e)
{
	return &e->peer->c;
}

static uint64_t odd_number(struct sim_rng *rng, uint64_t near)
{
	switch (sim_below(rng, 6)) {
	case 0:
		return UINT64_MAX;
	case 1:
		return 0;
	case 2:
		return sim_rand(rng);
	case 3:
		return near - sim_size(rng, 20000);
	default:
		return near + sim_size(rng, 20000);
	}
}

/* One byte of n becomes any other. (In two steps: the order in which a
 * compiler evaluates the halves of an assignment is its own business.) */
static void spoil(struct sim_rng *rng, void *p, size_t n)
{
	size_t i = sim_below(rng, n);

	((uint8_t *)p)[i] ^= (uint8_t)sim_range(rng, 1, 255);
}

/* ---- set-up ---- */

static void let_go(struct sim_end *e)
{
	struct sim_evil *v = evil_of(e);

	if (v->shared) {
		xvmc_hv_unshare(hv_of(e), &v->share_r);
		xvmc_hv_unshare(hv_of(e), &v->share_sd);
		xvmc_hv_chan_close(hv_of(e), &v->tx_chan);
	}
	if (v->mapped) {
		xvmc_hv_unmap(hv_of(e), &v->map_r);
		xvmc_hv_chan_close(hv_of(e), &v->rx_chan);
	}
	v->shared = v->mapped = false;
}

static void send_offer(struct sim_end *e)
{
	struct sim_evil *v = evil_of(e);
	struct sim_rng *rng = &e->sim->rng;
	unsigned int order = e->sim->plan.order[e->number];
	uint32_t npages = 1u << order;
	struct xvmc_setup_offer offer = {
		.hdr = { XVMC_ABI_VERSION, XVMC_SETUP_OFFER, 0 },
		.domid = sim_dom(e)->domid,
		.order = order,
		.ngrefs = 2 + npages,
	};
	xvmc_domid_t peer = e->sim->hv.dom[0].domid;
	size_t len = offsetof(struct xvmc_setup_offer, gref) + 4 * offer.ngrefs;
	uint8_t *sd;

	if (v->shared)
		let_go(e);
	if (xvmc_hv_share(hv_of(e), peer, 1, true, &v->share_r, offer.gref) < 0)
		return;
	if (xvmc_hv_share(hv_of(e), peer, 1 + npages, false, &v->share_sd,
			  offer.gref + 1) < 0) {
		xvmc_hv_unshare(hv_of(e), &v->share_r);
		return;
	}
	if (xvmc_hv_chan_alloc(hv_of(e), peer, &v->tx_chan) < 0) {
		xvmc_hv_unshare(hv_of(e), &v->share_r);
		xvmc_hv_unshare(hv_of(e), &v->share_sd);
		return;
	}
	v->shared = true;
	for (size_t i = 0; i < XVMC_NONCE_LEN; i++)
		v->nonce[i] = (uint8_t)sim_rand(rng);
	v->nonce[XVMC_NONCE_LEN - 1] &= 0x7f;
	sd = v->share_sd.addr;
	xvmc_sender_init(&v->tx, (struct xvmc_spage *)(void *)sd,
			 v->share_r.addr, sd + XVMC_PAGE_SIZE, order, v->nonce);
	v->epoch = 0;
	memcpy(offer.nonce, v->nonce, sizeof(offer.nonce));
	offer.port = v->tx_chan.port;
	offer.hdr.len = (uint16_t)len;
	if (sim_chance(rng, 200)) /* a lie in the message */
		spoil(rng, &offer, len);
	if (sim_chance(rng, 100)) /* or in the page */
		spoil(rng, sd, 32);
	sim_relay_send(e, &offer, sim_chance(rng, 50) ? sim_below(rng, sizeof(offer)) :
						       len);
}

static void on_offer(struct sim_end *e, const struct sim_msg *msg)
{
	struct sim_evil *v = evil_of(e);
	const struct xvmc_setup_offer *offer = &msg->body.offer;

	if (v->mapped)
		return;
	if (xvmc_hv_map(hv_of(e), offer->domid, offer->gref, 1, true,
			offsetof(struct xvmc_rpage, alive), &v->map_r) < 0)
		return;
	if (xvmc_hv_chan_bind(hv_of(e), offer->domid, offer->port, &v->rx_chan) < 0) {
		xvmc_hv_unmap(hv_of(e), &v->map_r);
		return;
	}
	v->mapped = true;
}

static bool take_message(struct sim_end *e)
{
	struct sim_msg msg;

	if (!sim_relay_take(e, &msg))
		return false;
	if (msg.kind == SIM_M_MATCH)
		e->svc.link = msg.link;
	else if (msg.kind == SIM_M_UNLINKED)
		e->svc.registered = false;
	else if (msg.kind == SIM_M_RELAYED && msg.body.hdr.type == XVMC_SETUP_OFFER)
		on_offer(e, &msg);
	else if (msg.kind == SIM_M_RELAYED && msg.body.hdr.type == SIM_SETUP_ASK)
		send_offer(e);
	return true;
}

static void say_something(struct sim_end *e)
{
	static const uint16_t types[] = { SIM_SETUP_ASK, XVMC_SETUP_REFUSE,
					  XVMC_SETUP_LEAVE, 0xffff };
	struct sim_rng *rng = &e->sim->rng;
	uint16_t type = types[sim_below(rng, 4)];
	struct sim_setup_ask msg = {
		.hdr = { XVMC_ABI_VERSION, type, sizeof(msg) },
		.domid = sim_dom(e)->domid,
		.order_max = (uint32_t)sim_below(rng, 4),
	};

	if (sim_chance(rng, 100))
		spoil(rng, &msg, sizeof(msg));
	sim_relay_send(e, &msg, sizeof(msg));
}

/* ---- words ---- */

static void announce(struct sim_end *e)
{
	struct sim_evil *v = evil_of(e);
	struct sim_rng *rng = &e->sim->rng;
	const struct sim_pipe *p = &e->sock->tcp->pipe[e->guest];
	const struct conn_rx *rx = &victim(e)->rx;
	uint64_t pos = p->written + rx->ring_bytes - rx->extra;
	struct ring_announcement ann = { .pos = pos, .rcvd = victim(e)->tx.sent,
					 .epoch = ++v->epoch };

	if (sim_chance(rng, 200))
		ann.pos = odd_number(rng, pos);
	if (sim_chance(rng, 50))
		ann.rcvd = odd_number(rng, ann.rcvd);
	xvmc_sender_start(&v->tx, ann.pos);
	ring_announce(v->tx.s, v->tx.r, &ann);
	xvmc_hv_notify(hv_of(e), &v->tx_chan);
}

static void write_own_pages(struct sim_end *e)
{
	struct sim_evil *v = evil_of(e);
	struct sim_rng *rng = &e->sim->rng;
	const struct conn_rx *rx = &victim(e)->rx;
	uint8_t *at = v->share_sd.addr;

	if (!v->shared)
		return;
	switch (sim_below(rng, 8)) {
	case 0:
		ring_publish(v->tx.s, odd_number(rng, rx->rcvd));
		break;
	case 1:
		ring_arm_room(v->tx.s, odd_number(rng, rx->rcvd));
		break;
	case 2: /* anything, anywhere; but rarely: it ends the play */
		if (sim_chance(rng, 100))
			spoil(rng, at, 256);
		break;
	case 3:
		at[sim_below(rng, v->share_sd.npages * XVMC_PAGE_SIZE)] = 0xff;
		break;
	case 4: /* an honest step */
		if (rx->path == XVMC_PATH_RING && rx->attached)
			ring_publish(v->tx.s, rx->rcvd + sim_below(rng, v->tx.size));
		break;
	default:
		announce(e);
	}
	xvmc_hv_notify(hv_of(e), &v->tx_chan);
}

static void write_their_page(struct sim_end *e)
{
	struct sim_evil *v = evil_of(e);
	struct sim_rng *rng = &e->sim->rng;
	const struct conn_tx *tx = &victim(e)->tx;
	struct xvmc_rpage *r = v->map_r.addr;

	if (!v->mapped)
		return;
	switch (sim_below(rng, 7)) {
	case 0:
		ring_release(r, odd_number(rng, tx->s.prod));
		break;
	case 1:
		ring_arm_data(r, odd_number(rng, tx->s.prod));
		break;
	case 2:
		ring_store64(&r->announce, sim_rand(rng), memory_order_relaxed);
		break;
	case 3:
		ring_release(r, tx->s.prod);
		break;
	case 4: /* that it maps the pages, or does not */
		r->alive = sim_chance(rng, 900);
		break;
	default:
		ring_decide(r, tx->epoch, XVMC_ANN_ACKED);
	}
	xvmc_hv_notify(hv_of(e), &v->rx_chan);
}

/* ---- the TCP stream ---- */

static void send_record(struct sim_end *e)
{
	struct sim_evil *v = evil_of(e);
	struct sim_rng *rng = &e->sim->rng;
	const struct conn_rx *rx = &victim(e)->rx;
	bool ring = rx->path == XVMC_PATH_TCP;
	uint64_t len = ring ? 0 : sim_below(rng, 5000);
	uint64_t back = sim_below(rng, len + 1);
	uint64_t pos = ring ? rx->expect : rx->rcvd - (back < rx->rcvd ? back : 0);
	unsigned int cause, flags;
	struct xvmc_record rec;

	if (sim_chance(rng, 100))
		pos = odd_number(rng, pos);
	if (sim_chance(rng, 100))
		len = odd_number(rng, len);
	if (sim_chance(rng, 50))
		ring = !ring;
	cause = (unsigned int)sim_below(rng, XVMC_R_COUNT + 2);
	flags = (unsigned int)sim_below(rng, 2);
	xvmc_record_make(&rec, v->nonce, ring ? rx->expect_epoch : rx->epoch + 1,
			 ring ? XVMC_PATH_RING : XVMC_PATH_TCP, cause, flags, pos, len);
	if (sim_chance(rng, 50))
		spoil(rng, &rec, sizeof(rec));
	sim_tcp_send(e->sock, &rec, sim_chance(rng, 50) ? sim_below(rng, sizeof(rec)) :
							 sizeof(rec));
}

static void send_bytes(struct sim_end *e)
{
	uint8_t buf[2000];
	size_t n = sim_size(&e->sim->rng, sizeof(buf));

	for (size_t i = 0; i < n; i++)
		buf[i] = (uint8_t)sim_rand(&e->sim->rng);
	sim_tcp_send(e->sock, buf, n);
}

static void take_bytes(struct sim_end *e)
{
	uint8_t buf[4096];

	sim_tcp_recv(e->sock, buf, sizeof(buf), false);
}

bool sim_evil_step(struct sim_end *e)
{
	struct sim_evil *v = evil_of(e);
	struct sim_rng *rng = &e->sim->rng;
	bool due = victim(e)->rx.path == XVMC_PATH_RING || victim(e)->rx.expect == victim(e)->rx.rcvd;

	if (!v->patience) {
		sim_trace(e->sim, "the evil one goes", 0, 0, 0, 0, 0);
		let_go(e);
		sim_tcp_close(e->sock);
		e->closed = true;
		return true;
	}
	v->patience--;
	if (e->sim->relay.up && (!e->svc.registered || e->svc.gen != e->sim->relay.gen)) {
		sim_relay_register(e);
		return true;
	}
	if (take_message(e))
		return true;
	switch (sim_below(rng, 16)) {
	case 0:
		say_something(e);
		break;
	case 1:
	case 2:
	case 3:
		write_own_pages(e);
		break;
	case 4:
	case 5:
	case 6:
		write_their_page(e);
		break;
	case 7:
	case 8:
		if (due || sim_chance(rng, 20))
			send_record(e);
		break;
	case 9:
		if (!due)
			send_bytes(e);
		break;
	case 10:
		if (sim_chance(rng, 20))
			let_go(e);
		break;
	default:
		take_bytes(e);
	}
	return true;
}
