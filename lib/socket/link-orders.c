/* SPDX-License-Identifier: MIT */
/*
 * What xvmcd tells or asks of all connections: a migration [S 6], the rows of
 * `xvmc ss`, promote and demote. Service thread only.
 */
#include <errno.h>

#include "service.h"

/* ---- migration [S 6] ---- */

/*
 * Prepared finish: the guest will be suspended in a moment. Both directions go
 * to TCP and are detached, so that nothing is mapped or bound when it happens.
 * True once all are.
 */
static bool prepare_all(struct xvmc_service *sv)
{
	struct xvmc_list *it, *tmp;
	bool all = true;

	xvmc_list_each(it, tmp, &sv->known) {
		struct xvmc_endpoint *ep =
			xvmc_list_entry(it, struct xvmc_endpoint, svc_link);

		if (!migrate_concerns(&ep->conn, &sv->prepare.ev) || !ep->svc.asked)
			continue;
		if (!ep->svc.leaving)
			drive_leave(sv, ep, XVMC_R_PREPARE, false);
		all = false;
		xvmc_service_kick(ep);
	}
	return all;
}

/* A peer on another CPU answers in microseconds. One that does not is xvmcd's
 * to wait for, who knows how long there is: it asks again. */
void link_prepared(struct xvmc_service *sv, uint64_t now)
{
	struct xvmc_ag_word word = {
		.hdr = { .type = XVMC_AG_PREPARED, .len = sizeof(word) },
		.epid = sv->prepare.serial,
	};

	if (!sv->prepare.active)
		return;
	if (!prepare_all(sv)) {
		if (now < sv->prepare.deadline_ns)
			return;
		word.hdr.status = -EAGAIN;
	}
	sv->prepare.active = false;
	xvmc_agent_send(&sv->agent, &word.hdr);
}

static void on_finish(struct xvmc_service *sv, const struct migrate_event *ev)
{
	struct xvmc_list *it, *tmp;

	if (ev->self)
		xvmc_stat_add(sv->ctx->stats, XVMC_S_MIGRATIONS, 1);
	xvmc_list_each(it, tmp, &sv->known) {
		struct xvmc_endpoint *ep =
			xvmc_list_entry(it, struct xvmc_endpoint, svc_link);
		struct conn_t *c = &ep->conn;

		if (!ep->svc.asked || !(ev->self || c->peer_domid == ev->old_domid))
			continue;
		if (xvmc_ep_managed(ep)) {
			section_lock(&c->tx.lock);
			section_lock(&c->rx.lock);
			finish_mig(c, ev);
			section_unlock(&c->rx.lock);
			section_unlock(&c->tx.lock);
		}
		if (!ev->self)
			ep->svc.gone_ns = os_now_ns();
		c->link = 0;
		drive_leave(sv, ep, ev->self ? XVMC_R_MIGRATE_SELF :
					       XVMC_R_MIGRATE_PEER, false);
		xvmc_service_kick(ep);
	}
}

void link_migrate(struct xvmc_service *sv, const struct xvmc_ag_migrate *msg)
{
	struct migrate_event ev = { .old_domid = msg->old_domid,
				    .self = msg->self != 0 };
	struct xvmc_list *it, *tmp;

	switch (msg->hdr.type) {
	case XVMC_AG_KEEP:
		xvmc_list_each(it, tmp, &sv->known)
			keep_con_with_migration(
				&xvmc_list_entry(it, struct xvmc_endpoint, svc_link)->conn,
				&ev);
		break;
	case XVMC_AG_PREPARE:
		sv->prepare.active = true;
		sv->prepare.serial = msg->serial;
		sv->prepare.deadline_ns = os_now_ns() + 300000000u;
		sv->prepare.ev = ev;
		link_prepared(sv, os_now_ns());
		break;
	default:
		on_finish(sv, &ev);
	}
}

/* ---- questions and orders ---- */

static void send_row(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	struct conn_t *c = &ep->conn;
	bool managed = xvmc_ep_managed(ep);
	struct xvmc_ag_row row = {
		.hdr = { .type = XVMC_AG_ROW, .len = sizeof(row) },
		.pid = (uint32_t)sv->pid,
		.epid = ep->epid,
		.fd = ep->fd,
		.peer_domid = c->peer_domid,
		.link = c->link,
		.tx_path = managed ? (uint8_t)c->tx.path : XVMC_PATH_TCP,
		.rx_path = managed ? (uint8_t)c->rx.path : XVMC_PATH_TCP,
		.tx_reason = (uint8_t)(managed ? c->tx.reason : ep->reason),
		.rx_reason = (uint8_t)(managed ? c->rx.reason : ep->reason),
		.switches = c->switches,
		.ring_tx = c->tx.ring_bytes,
		.ring_rx = c->rx.ring_bytes,
		.tcp_tx = c->tx.sent - c->tx.ring_bytes,
		.tcp_rx = c->rx.rcvd - c->rx.ring_bytes,
		.tx_size = xvmc_conn_tx_size(c),
		.rx_size = xvmc_conn_rx_size(c),
	};

	link_addr(&ep->svc.local, &row.local);
	link_addr(&ep->svc.remote, &row.remote);
	xvmc_agent_send(&sv->agent, &row.hdr);
}

void link_query(struct xvmc_service *sv)
{
	struct xvmc_agent_hdr end = { .type = XVMC_AG_END, .len = sizeof(end) };
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &sv->known)
		send_row(sv, xvmc_list_entry(it, struct xvmc_endpoint, svc_link));
	xvmc_agent_send(&sv->agent, &end);
}

void link_steer(struct xvmc_service *sv, struct xvmc_endpoint *ep, enum xvmc_path to)
{
	uint32_t tracked = XVMC_EP_TRACKED;

	if (to == XVMC_PATH_TCP) {
		ep->svc.demoted = true;
		if (ep->svc.asked)
			drive_leave(sv, ep, XVMC_R_DEMOTED, false);
	} else if (ep->svc.demoted) {
		ep->svc.demoted = false;
		/* xvmcd may have heard this before it heard us say that we had
		 * left; registering anew is clear. */
		if (ep->state == XVMC_EP_REGISTERED && !ep->svc.asked) {
			link_unregister(sv, ep);
			link_register(sv, ep);
		}
	} else if (fork_alone(ep)) {
		/* There was no room for it: another try. */
		atomic_compare_exchange_strong(&ep->state, &tracked, XVMC_EP_QUEUED);
	}
}

void link_steer_all(struct xvmc_service *sv, const struct xvmc_ag_steer *steer)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &sv->known) {
		struct xvmc_endpoint *ep =
			xvmc_list_entry(it, struct xvmc_endpoint, svc_link);

		if (steer->epid && steer->epid != ep->epid)
			continue;
		link_steer(sv, ep, steer->to == XVMC_PATH_TCP ? XVMC_PATH_TCP :
								 XVMC_PATH_RING);
		xvmc_service_kick(ep);
	}
}
