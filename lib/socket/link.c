/* SPDX-License-Identifier: MIT */
/*
 * Endpoints and xvmcd: registration, the five steps of set-up [S 3] as
 * messages, tear-down [S 4], and what a migration means for all of them
 * [S 6]. Service thread only.
 */
#include <errno.h>
#include <string.h>

#include "service.h"

static void addr_of(const struct sockaddr_storage *ss, struct xvmc_ag_addr *ret)
{
	memset(ret, 0, sizeof(*ret));
	vms_addr((const struct sockaddr *)ss, sizeof(*ss), &ret->ip, &ret->port);
}

static struct xvmc_endpoint *by_epid(struct xvmc_service *sv, uint32_t epid)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &sv->known) {
		struct xvmc_endpoint *ep =
			xvmc_list_entry(it, struct xvmc_endpoint, svc_link);

		if (ep->epid == epid)
			return ep;
	}
	return NULL;
}

static void send_word(struct xvmc_service *sv, uint16_t type, uint32_t epid,
		      uint64_t link, uint32_t reason)
{
	struct xvmc_ag_word word = {
		.hdr = { .type = type, .len = sizeof(word) },
		.epid = epid,
		.reason = reason,
		.link = link,
	};

	xvmc_agent_send(&sv->agent, &word.hdr);
}

int link_register(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	struct xvmc_ag_register reg = {
		.hdr = { .type = XVMC_AG_REGISTER, .len = sizeof(reg) },
		.epid = ep->epid,
		.link = ep->svc.asked ? ep->conn.link : 0,
	};
	socklen_t llen = sizeof(ep->svc.local), rlen = sizeof(ep->svc.remote);

	if (!ep->svc.have_addrs) {
		if (os_getsockname(ep->fd, (struct sockaddr *)&ep->svc.local, &llen) < 0 ||
		    os_getpeername(ep->fd, (struct sockaddr *)&ep->svc.remote, &rlen) < 0)
			return -ENOTCONN; /* closing, or gone already */
		ep->svc.have_addrs = true;
	}
	if (sv->agent.fd < 0) {
		ep->reason = XVMC_R_NO_XVMCD;
		return -EIO; /* again when xvmcd is back */
	}
	addr_of(&ep->svc.local, &reg.local);
	addr_of(&ep->svc.remote, &reg.remote);
	ep->conn.local_port = reg.local.port;
	ep->conn.remote_port = reg.remote.port;
	ep->state = XVMC_EP_REGISTERED;
	ep->reason = XVMC_R_NO_PEER;
	ep->svc.told_xvmcd = true;
	xvmc_stat_add(sv->ctx->stats, XVMC_S_REGISTERED, 1);
	return xvmc_agent_send(&sv->agent, &reg.hdr);
}

void link_unregister(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	if (ep->svc.told_xvmcd)
		send_word(sv, XVMC_AG_UNREGISTER, ep->epid, ep->conn.link,
			  ep->reason);
	ep->svc.told_xvmcd = false;
	ep->conn.link = 0;
}

static void relay(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		  const struct xvmc_setup_hdr *body)
{
	struct xvmc_ag_relay msg = {
		.hdr = { .type = XVMC_AG_RELAY },
		.epid = ep->epid,
		.link = ep->conn.link,
	};

	memcpy(msg.body, body, body->len);
	msg.hdr.len = (uint16_t)(offsetof(struct xvmc_ag_relay, body) + body->len);
	xvmc_agent_send(&sv->agent, &msg.hdr);
}

void link_say(struct xvmc_service *sv, struct xvmc_endpoint *ep,
	      enum xvmc_setup_type type, unsigned int reason)
{
	struct xvmc_setup_word word = {
		.hdr = { .version = XVMC_ABI_VERSION,
			 .type = (uint16_t)type,
			 .len = sizeof(word) },
		.reason = reason,
	};

	if (ep->conn.link)
		relay(sv, ep, &word.hdr);
}

void link_ended(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		enum xvmc_reason why)
{
	if (ep->conn.link)
		send_word(sv, XVMC_AG_UNLINK, ep->epid, ep->conn.link, why);
	ep->conn.link = 0;
	ep->conn.peer_domid = XVMC_DOMID_NONE;
}

static enum xvmc_reason why_not(int err)
{
	switch (err) {
	case -ENOSPC:
		return XVMC_R_NO_GRANTS;
	case -ENOBUFS:
		return XVMC_R_NO_PORTS;
	case -EMFILE:
	case -ENFILE:
		return XVMC_R_NO_FDS;
	case -ENOMEM:
		return XVMC_R_NO_MEMORY;
	case -EPROTO:
		return XVMC_R_BAD_OFFER;
	case -ESTALE:
		return XVMC_R_BAD_NONCE;
	case -ENOENT:
	case -EACCES:
		return XVMC_R_MIGRATE_PEER; /* it moved while we set up */
	default:
		return XVMC_R_NO_XVMCD;
	}
}

static void give_up(struct xvmc_service *sv, struct xvmc_endpoint *ep, int err)
{
	enum xvmc_reason why = why_not(err);

	link_say(sv, ep, XVMC_SETUP_REFUSE, why);
	xvmc_stat_add(sv->ctx->stats, XVMC_S_REASON0 + why, 1);
	drive_leave(sv, ep, why, false);
}

/* A ring for a newcomer: the one that has been idle longest makes way. */
static bool make_room(struct xvmc_service *sv)
{
	struct xvmc_endpoint *oldest = NULL;
	struct xvmc_list *it, *tmp;
	uint64_t now = os_now_ns();

	if (sv->nrings < sv->ctx->opt.max_rings)
		return true;
	xvmc_list_each(it, tmp, &sv->known) {
		struct xvmc_endpoint *ep =
			xvmc_list_entry(it, struct xvmc_endpoint, svc_link);
		uint64_t bytes = ep->conn.tx.ring_bytes + ep->conn.rx.ring_bytes;

		if (!xvmc_ep_managed(ep) || ep->svc.leaving)
			continue;
		if (bytes != ep->svc.use_bytes) {
			ep->svc.use_bytes = bytes;
			ep->svc.use_ns = now;
		}
		if (!oldest || ep->svc.use_ns < oldest->svc.use_ns)
			oldest = ep;
	}
	if (oldest && now - oldest->svc.use_ns > 1000000000u) {
		drive_leave(sv, oldest, XVMC_R_LRU, false);
		xvmc_service_kick(oldest);
	}
	return false;
}

static void on_match(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		     const struct xvmc_ag_match *match)
{
	struct xvmc_setup_ask ask = {
		.hdr = { .version = XVMC_ABI_VERSION,
			 .type = XVMC_SETUP_ASK,
			 .len = sizeof(ask) },
		.order_max = XVMC_RING_ORDER_MAX,
	};
	struct xvmc_hv_self self;

	/* After a restart of xvmcd the link has a new number; rings that are
	 * in use stay in use. */
	if (ep->svc.asked && !ep->svc.leaving) {
		ep->conn.link = match->link;
		ep->svc.unlinked = XVMC_R_NONE;
		return;
	}
	if (ep->svc.pin || ep->svc.closing)
		return;
	if (ep->svc.leaving) {
		ep->svc.held = *match;
		ep->svc.held_ask.hdr.len = 0;
		return;
	}
	ep->conn.link = match->link;
	ep->conn.peer_domid = match->peer_domid;
	ep->conn.strict = match->strict;
	if (ep->svc.demoted) {
		link_ended(sv, ep, XVMC_R_DEMOTED);
		return;
	}
	/* The domid changes with every migration: never the one of old. */
	if (!sv->hv || xvmc_hv_self(sv->hv, &self) < 0 || !make_room(sv)) {
		link_say(sv, ep, XVMC_SETUP_REFUSE, XVMC_R_LRU);
		link_ended(sv, ep, XVMC_R_LRU);
		return;
	}
	if (!fork_claim(ep)) {
		link_ended(sv, ep, XVMC_R_FORK);
		ep->svc.pin = true;
		ep->svc.reason = XVMC_R_FORK;
		return;
	}
	ep->io_fd = xvmc_os_high_fd(os_fcntl(ep->fd, F_DUPFD_CLOEXEC, 0));
	if (ep->io_fd < 0) {
		link_say(sv, ep, XVMC_SETUP_REFUSE, XVMC_R_NO_FDS);
		link_ended(sv, ep, XVMC_R_NO_FDS);
		return;
	}
	ask.domid = self.domid;
	ep->state = XVMC_EP_LINKED;
	ep->reason = XVMC_R_SETUP;
	ep->svc.asked = true;
	relay(sv, ep, &ask.hdr); /* step 2 */
}

static void on_ask(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		   const struct xvmc_setup_ask *ask, size_t len)
{
	struct xvmc_setup_offer *offer = &sv->offer;
	unsigned int order = sv->ctx->opt.order;
	int r = -EPROTO;

	if (len == sizeof(*ask) && ask->domid != ep->conn.peer_domid) {
		r = -ENOENT;
	} else if (len == sizeof(*ask) && !ep->conn.tx.have_share) {
		if (order > ask->order_max)
			order = ask->order_max;
		pthread_mutex_lock(&ep->conn.tx.lock);
		r = xvmc_conn_offer(&ep->conn, sv->hv, order, offer); /* 3 */
		pthread_mutex_unlock(&ep->conn.tx.lock);
	}
	if (r < 0)
		give_up(sv, ep, r);
	else
		relay(sv, ep, &offer->hdr); /* step 4 */
}

static void on_offer(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		     const struct xvmc_setup_offer *offer, size_t len)
{
	struct conn_t *c = &ep->conn;
	int r;

	pthread_mutex_lock(&c->rx.lock);
	r = c->tx.have_chan ? xvmc_conn_accept_offer(c, sv->hv, offer, len) :
			      -EPROTO;
	pthread_mutex_unlock(&c->rx.lock);
	if (r == 0)
		r = endpoint_manage(ep);
	if (r < 0) {
		give_up(sv, ep, r);
		return;
	}
	sv->nrings++;
	xvmc_stat_add(sv->ctx->stats, XVMC_S_RINGS, 1);
	xvmc_stat_add(sv->ctx->stats, XVMC_S_SETUPS, 1);
	ep->svc.use_ns = os_now_ns();
	service_log(sv, ep, "rings are mapped", XVMC_R_SETUP);
	link_say(sv, ep, XVMC_SETUP_READY, 0); /* step 5 */
}

static void on_relayed(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		       const void *body, size_t len)
{
	union {
		struct xvmc_setup_hdr hdr;
		struct xvmc_setup_ask ask;
		struct xvmc_setup_offer offer;
		struct xvmc_setup_word word;
	} m;

	if (len < sizeof(m.hdr) || len > sizeof(m))
		return;
	memset(&m, 0, sizeof(m));
	memcpy(&m, body, len);
	if (m.hdr.version != XVMC_ABI_VERSION || m.hdr.len != len) {
		xvmc_stat_add(sv->ctx->stats, XVMC_S_REASON0 + XVMC_R_BAD_VERSION, 1);
		drive_leave(sv, ep, XVMC_R_BAD_VERSION, true);
		return;
	}
	if (ep->svc.leaving)
		return; /* what is being set up will not be used */
	switch (m.hdr.type) {
	case XVMC_SETUP_ASK:
		on_ask(sv, ep, &m.ask, len);
		break;
	case XVMC_SETUP_OFFER:
		on_offer(sv, ep, &m.offer, len);
		break;
	case XVMC_SETUP_READY:
		pthread_mutex_lock(&ep->conn.tx.lock);
		xvmc_conn_ready(&ep->conn);
		pthread_mutex_unlock(&ep->conn.tx.lock);
		ep->svc.want_ring = !ep->svc.leaving;
		ep->svc.try_ns = 0;
		break;
	case XVMC_SETUP_REFUSE:
	case XVMC_SETUP_LEAVE:
		drive_leave(sv, ep, m.word.reason < XVMC_R_COUNT ?
					    (enum xvmc_reason)m.word.reason :
					    XVMC_R_PEER_LEFT, false);
		break;
	default:
		xvmc_stat_add(sv->ctx->stats, XVMC_S_REASON0 + XVMC_R_BAD_OFFER, 1);
		drive_leave(sv, ep, XVMC_R_BAD_OFFER, true);
	}
}

static void on_relay(struct xvmc_service *sv, struct xvmc_endpoint *ep,
		     const struct xvmc_ag_relay *relay)
{
	size_t len = relay->hdr.len - offsetof(struct xvmc_ag_relay, body);

	if (ep->svc.asked && ep->conn.link == relay->link)
		on_relayed(sv, ep, relay->body, len);
	else if (ep->svc.held.link && ep->svc.held.link == relay->link &&
		 len == sizeof(ep->svc.held_ask))
		memcpy(&ep->svc.held_ask, relay->body, len);
}

void link_held(struct xvmc_service *sv, struct xvmc_endpoint *ep)
{
	struct xvmc_ag_match match = ep->svc.held;
	struct xvmc_setup_ask ask = ep->svc.held_ask;

	if (!match.link)
		return;
	memset(&ep->svc.held, 0, sizeof(ep->svc.held));
	on_match(sv, ep, &match);
	if (ask.hdr.len && ep->svc.asked && ep->conn.link == match.link)
		on_relayed(sv, ep, &ask, sizeof(ask));
}

static void on_unlinked(struct xvmc_service *sv, struct xvmc_endpoint *ep,
			const struct xvmc_ag_word *word)
{
	enum xvmc_reason why = word->reason < XVMC_R_COUNT ?
				       (enum xvmc_reason)word->reason :
				       XVMC_R_PEER_LEFT;

	if (word->link && word->link == ep->svc.held.link)
		memset(&ep->svc.held, 0, sizeof(ep->svc.held));
	if (word->link != ep->conn.link && word->link)
		return;
	ep->conn.link = 0; /* nobody to answer to */
	if (!ep->svc.asked) {
		ep->reason = why;
		return;
	}
	/* One that has ended reads no record of ours, and what the kernel still
	 * has of it must come: drive() looks before it leaves the ring. */
	if (xvmc_ep_managed(ep) && (why == XVMC_R_PEER_DIED || why == XVMC_R_CLOSE))
		ep->svc.unlinked = why;
	else
		drive_leave(sv, ep, why, false);
}

/* ---- migration [S 6] ---- */

static bool prepare_all(struct xvmc_service *sv, uint64_t now)
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
	(void)now;
	return all;
}

void link_prepared(struct xvmc_service *sv, uint64_t now)
{
	if (!sv->prepare.active)
		return;
	if (!prepare_all(sv, now) && now < sv->prepare.deadline_ns)
		return;
	sv->prepare.active = false;
	send_word(sv, XVMC_AG_PREPARED, sv->prepare.serial, 0, 0);
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
			pthread_mutex_lock(&c->tx.lock);
			pthread_mutex_lock(&c->rx.lock);
			finish_mig(c, ev);
			pthread_mutex_unlock(&c->rx.lock);
			pthread_mutex_unlock(&c->tx.lock);
		}
		c->link = 0;
		drive_leave(sv, ep, ev->self ? XVMC_R_MIGRATE_SELF :
					       XVMC_R_MIGRATE_PEER, false);
		xvmc_service_kick(ep);
	}
}

static void on_migrate(struct xvmc_service *sv, const struct xvmc_ag_migrate *msg)
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
	};

	addr_of(&ep->svc.local, &row.local);
	addr_of(&ep->svc.remote, &row.remote);
	xvmc_agent_send(&sv->agent, &row.hdr);
}

static void on_query(struct xvmc_service *sv)
{
	struct xvmc_agent_hdr end = { .type = XVMC_AG_END, .len = sizeof(end) };
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &sv->known)
		send_row(sv, xvmc_list_entry(it, struct xvmc_endpoint, svc_link));
	xvmc_agent_send(&sv->agent, &end);
}

static void on_steer(struct xvmc_service *sv, const struct xvmc_ag_steer *steer)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &sv->known) {
		struct xvmc_endpoint *ep =
			xvmc_list_entry(it, struct xvmc_endpoint, svc_link);

		if (steer->epid && steer->epid != ep->epid)
			continue;
		if (steer->to == XVMC_PATH_TCP) {
			ep->svc.demoted = true;
			if (ep->svc.asked)
				drive_leave(sv, ep, XVMC_R_DEMOTED, false);
		} else if (ep->svc.demoted) {
			ep->svc.demoted = false;
			/* xvmcd may have heard this before it heard us say
			 * that we had left; registering anew is clear. */
			if (ep->state == XVMC_EP_REGISTERED && !ep->svc.asked) {
				link_unregister(sv, ep);
				link_register(sv, ep);
			}
		}
		xvmc_service_kick(ep);
	}
}

void link_message(struct xvmc_service *sv, const union xvmc_agent_msg *msg)
{
	struct xvmc_endpoint *ep;

	switch (msg->hdr.type) {
	case XVMC_AG_MATCH:
		ep = by_epid(sv, msg->match.epid);
		if (ep)
			on_match(sv, ep, &msg->match);
		break;
	case XVMC_AG_RELAYED:
		ep = by_epid(sv, msg->relay.epid);
		if (ep)
			on_relay(sv, ep, &msg->relay);
		break;
	case XVMC_AG_UNLINKED:
		ep = by_epid(sv, msg->word.epid);
		if (ep)
			on_unlinked(sv, ep, &msg->word);
		break;
	case XVMC_AG_YIELD:
		ep = by_epid(sv, msg->word.epid);
		if (ep)
			atomic_store(&ep->pin_wanted, XVMC_R_FORK);
		break;
	case XVMC_AG_KEEP:
	case XVMC_AG_PREPARE:
	case XVMC_AG_FINISH:
		on_migrate(sv, &msg->migrate);
		return;
	case XVMC_AG_QUERY:
		on_query(sv);
		return;
	case XVMC_AG_STEER:
		on_steer(sv, &msg->steer);
		return;
	default:
		return;
	}
	if (ep)
		xvmc_service_kick(ep);
}
