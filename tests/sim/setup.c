/* SPDX-License-Identifier: MIT */
/*
 * The set-up messages at one end of the simulation [S 3]: ask, offer, refuse,
 * leave. Each direction of a connection is set up by itself, and again while the
 * link lasts; so what is asked, which MATCH says in life, is a message here.
 * Messages may be lost with the xvmcd that carries them, never reordered.
 */
#include <errno.h>
#include <string.h>

#include "sim.h"

static void send_word(struct sim_end *e, uint16_t type, uint32_t reason)
{
	struct xvmc_setup_word word = {
		.hdr = { XVMC_ABI_VERSION, type, sizeof(word) },
		.reason = reason,
	};

	sim_relay_send(e, &word, sizeof(word));
}

/* Where no record of ours can tell the peer to leave. */
void sim_setup_leave(struct sim_end *e)
{
	if (e->svc.link && e->c.tx.path == XVMC_PATH_TCP &&
	    e->c.rx.path == XVMC_PATH_RING) {
		sim_count(e->sim, SIM_C_LEAVE_MSG);
		send_word(e, XVMC_SETUP_LEAVE, XVMC_R_LRU);
	}
}

bool sim_setup_ask(struct sim_end *e)
{
	struct sim_setup_ask ask = {
		.hdr = { XVMC_ABI_VERSION, SIM_SETUP_ASK, sizeof(ask) },
		.domid = sim_dom(e)->domid,
		.order_max = e->sim->plan.order[e->number],
	};
	struct sim_svc *svc = &e->svc;

	if (!svc->link || svc->stale_tx || svc->stale_rx || e->c.rx.have_map_r ||
	    svc->prepare || svc->no_more || e->sim->now < svc->ask_at ||
	    e->c.rx.err)
		return false;
	svc->asked = sim_relay_send(e, &ask, sizeof(ask));
	/* If no answer comes: the message, or the answer, was lost. */
	svc->ask_at = e->sim->now + 10000000;
	return true;
}

/* Answers an ASK, when the last ring is out of the way. */
bool sim_setup_offer(struct sim_end *e)
{
	struct sim_svc *svc = &e->svc;
	struct xvmc_setup_offer offer;
	int r;

	if (!svc->offer_due || !svc->link || svc->stale_tx || svc->prepare || svc->no_more)
		return false;
	if (e->c.tx.have_share) {
		xvmc_conn_tx_leave(&e->c, XVMC_R_DEMOTED, false);
		svc->stale_tx = true;
		sim_check_end(e, "leave");
		return true;
	}
	svc->offer_due = false;
	r = xvmc_conn_offer(&e->c, &sim_dom(e)->hv, svc->order_max, &offer);
	sim_trace(e->sim, "end %ld offers: %ld", e->guest, r, 0, 0, 0);
	if (r < 0) {
		sim_count(e->sim, r == -ENOSPC ? SIM_C_NO_GRANTS :
				  r == -ENOBUFS ? SIM_C_NO_PORTS : SIM_C_REFUSED);
		send_word(e, XVMC_SETUP_REFUSE, XVMC_R_NO_GRANTS);
	} else {
		sim_relay_send(e, &offer, offer.hdr.len);
		svc->tx_bell = sim_hv_signals(&e->c.tx.chan);
	}
	sim_check_end(e, "offer");
	return true;
}

static void on_offer(struct sim_end *e, const struct sim_msg *msg)
{
	struct sim_svc *svc = &e->svc;
	int r;

	svc->asked = false;
	svc->ask_at = e->sim->now + sim_range(&e->sim->rng, 1000000, 5000000);
	if (svc->prepare || svc->no_more)
		return;
	r = xvmc_conn_accept_offer(&e->c, &sim_dom(e)->hv, &msg->body.offer, msg->len);
	sim_trace(e->sim, "end %ld is offered a ring: %ld", e->guest, r, 0, 0, 0);
	if (r < 0) {
		sim_count(e->sim, SIM_C_REFUSED);
		if (e->sim->plan.hostile)
			sim_count(e->sim, SIM_C_HOSTILE_OFFER);
		send_word(e, XVMC_SETUP_REFUSE, XVMC_R_BAD_OFFER);
	} else {
		svc->rx_bell = sim_hv_signals(&e->c.rx.chan);
		svc->bell_at = 0;
		xvmc_hv_notify(&sim_dom(e)->hv, &e->c.rx.chan);
	}
	sim_check_end(e, "accept");
}

static void on_setup(struct sim_end *e, const struct sim_msg *msg)
{
	struct sim_svc *svc = &e->svc;

	switch (msg->body.hdr.type) {
	case SIM_SETUP_ASK:
		svc->offer_due = true;
		svc->order_max = msg->body.ask.order_max < SIM_ORDER_MAX ?
					 msg->body.ask.order_max : SIM_ORDER_MAX;
		break;
	case XVMC_SETUP_OFFER:
		on_offer(e, msg);
		break;
	case XVMC_SETUP_REFUSE:
		if (e->c.tx.have_share && !e->c.tx.attached)
			svc->stale_tx = true;
		svc->asked = false;
		svc->ask_at = e->sim->now + sim_range(&e->sim->rng, 1000000, 5000000);
		break;
	case XVMC_SETUP_LEAVE:
		sim_service_drop(e, XVMC_R_PEER_LEFT, false);
		break;
	default:
		break;
	}
}

bool sim_setup_inbox(struct sim_end *e)
{
	struct sim_svc *svc = &e->svc;
	struct sim_msg msg;

	if (!sim_relay_take(e, &msg))
		return false;
	sim_trace(e->sim, "end %ld gets message %ld.%ld of link %ld, ours %ld",
		  e->guest, msg.kind, msg.kind == SIM_M_RELAYED ? msg.body.hdr.type : 0,
		  (long)msg.link, (long)svc->link);
	switch (msg.kind) {
	case SIM_M_MATCH:
		if (e->c.tx.have_share || e->c.rx.have_map_r)
			sim_service_drop(e, XVMC_R_LRU, true);
		svc->link = msg.link;
		svc->offer_due = svc->asked = false;
		svc->ask_at = e->sim->now + sim_below(&e->sim->rng, 1000000);
		e->c.peer_domid = msg.domid;
		e->c.link = msg.link;
		e->c.strict = e->sim->plan.strict;
		break;
	case SIM_M_UNLINKED:
		if (msg.link != svc->link)
			break;
		sim_service_drop(e, XVMC_R_MIGRATE_PEER, true);
		svc->link = 0;
		svc->registered = false;
		break;
	case SIM_M_RELAYED:
		if (msg.link == svc->link)
			on_setup(e, &msg);
		break;
	case SIM_M_PREPARE:
		svc->prepare = true;
		svc->prepared = false;
		sim_service_drop(e, XVMC_R_PREPARE, true);
		break;
	case SIM_M_FINISH:
		svc->prepare = svc->prepared = false;
		break;
	}
	return true;
}
