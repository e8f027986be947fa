/* SPDX-License-Identifier: MIT */
/*
 * The other guests, and in the leader the proxies of their processes.
 */
#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/reason.h"
#include "match.h"

/* What another guest can have us keep, and how long it can keep us: there are
 * others, and processes of our own. */
#define PROXIES_MAX 1024u
#define FRAMES_AT_ONCE 64u

/* ---- proxies ---- */

static void proxy_send(struct conn *conn, const void *msg)
{
	struct agent *agent = (struct agent *)conn;
	const struct xvmc_agent_hdr *hdr = msg;

	switch (hdr->type) {
	case XVMC_AG_MATCH:
	case XVMC_AG_RELAYED:
	case XVMC_AG_UNLINKED:
	case XVMC_AG_YIELD:
	case XVMC_AG_END:
		peer_send(agent->peer, agent->number, msg, hdr->len);
		break;
	default:
		break; /* its own xvmcd says the rest */
	}
}

static void proxy_free(struct agent *proxy, uint32_t reason)
{
	match_forget(proxy, reason);
	proxy->peer->nproxies--;
	xvmc_list_del(&proxy->conn.node);
	xvmc_list_del(&proxy->conn.dead);
	free(proxy);
}

static void proxy_ended(struct conn *conn)
{
	proxy_free((struct agent *)conn, XVMC_R_PEER_DIED);
}

static const struct conn_ops proxy_ops = { .ended = proxy_ended, .send = proxy_send };

static struct agent *proxy_find(struct peer *peer, uint32_t number)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &peer->proxies) {
		struct agent *proxy = xvmc_list_entry(it, struct agent, conn.node);

		if (proxy->number == number)
			return proxy;
	}
	return NULL;
}

/* Its addresses are those that dom0 gave to its guest; its namespace is none
 * of ours. */
static void proxy_new(struct peer *peer, uint32_t number, const struct xvmc_ag_hello *msg)
{
	struct agent *proxy = NULL;

	/* Who is not known stays on TCP. */
	if (peer->nproxies < PROXIES_MAX)
		proxy = calloc(1, sizeof(*proxy));
	if (!proxy)
		return;
	peer->nproxies++;
	proxy->conn.d = peer->xen->d;
	proxy->conn.ops = &proxy_ops;
	proxy->conn.watch.fd = -1;
	xvmc_list_init(&proxy->conn.out);
	proxy->role = XVMC_ROLE_APP;
	proxy->dom = peer->dom;
	proxy->peer = peer;
	proxy->number = number;
	proxy->stats_fd = -1;
	proxy->netns = (msg->netns & 0xffffffffffu) | (uint64_t)(peer->domid + 1) << 40;
	proxy->naddrs = peer->dom->naddrs;
	memcpy(proxy->addr, peer->dom->addr, sizeof(proxy->addr));
	memcpy(proxy->comm, msg->comm, sizeof(proxy->comm) - 1);
	xvmc_list_init(&proxy->regs);
	xvmc_list_init(&proxy->adopts);
	xvmc_list_init(&proxy->owed);
	xvmc_list_add(&peer->proxies, &proxy->conn.node);
}

static bool has_addr(const struct peer *peer, const struct in6_addr *ip)
{
	for (uint32_t i = 0; i < peer->dom->naddrs; i++)
		if (memcmp(&peer->dom->addr[i], ip, sizeof(*ip)) == 0)
			return true;
	return false;
}

/* What a process of the other guest says. */
static int proxy_message(struct peer *peer, uint32_t number, const void *msg, size_t len)
{
	struct agent *proxy = proxy_find(peer, number);
	const struct xvmc_agent_hdr *hdr = msg;
	const struct xvmc_ag_register *reg = msg;
	struct agent blank = { .role = 0 };

	if (agent_check(proxy && hdr->type != XVMC_AG_HELLO ? proxy : &blank, msg, len) < 0)
		return proxy ? -EPROTO : 0; /* late words of one that has ended */
	switch (hdr->type) {
	case XVMC_AG_HELLO:
		if (!proxy)
			proxy_new(peer, number, msg);
		return 0;
	case XVMC_AG_REGISTER:
		/* A connection of another guest's it may not claim. */
		return has_addr(peer, &reg->local.ip) ? match_register(proxy, reg) : 0;
	case XVMC_AG_UNREGISTER:
		match_unregister(proxy, msg);
		return 0;
	case XVMC_AG_RELAY:
		match_relay(proxy, msg);
		return 0;
	case XVMC_AG_UNLINK:
		match_unlink(proxy, msg);
		return 0;
	case XVMC_AG_ADOPT:
		match_adopt(proxy, msg);
		return 0;
	case XVMC_AG_END:
		proxy_free(proxy, XVMC_R_PEER_DIED);
		return 0;
	default:
		return -EPROTO;
	}
}

/* ---- the channel ---- */

void peer_send(struct peer *peer, uint32_t agent, const void *msg, size_t len)
{
	int rc = peer->ctl ? ctl_send(peer->ctl, agent, msg, len) : 0;

	if (rc < 0 && !peer->broken) {
		log_line("domain %s: %s; no more of it", peer->dom->name, strerror(-rc));
		peer->broken = true; /* the next look at the store ends it */
		loop_arm(peer->xen->d->loop, &peer->xen->look, 0);
	}
}

static int take_frame(struct peer *peer)
{
	_Alignas(8) uint8_t body[CTL_BODY_MAX];
	uint32_t number;
	size_t len;
	int rc = ctl_recv(peer->ctl, &number, body, &len);

	if (rc <= 0)
		return rc;
	if (!peer->leader)
		routes_back(peer, number, body, len);
	else if (proxy_message(peer, number, body, len) < 0)
		return -EPROTO;
	return 1;
}

/* Who never stops talking must let others have a word, too. */
static void listen_to(struct peer *peer)
{
	unsigned int n = 0;
	int rc;

	ctl_ack(peer->ctl);
	do
		rc = take_frame(peer);
	while (rc > 0 && ++n < FRAMES_AT_ONCE);
	if (rc > 0) {
		loop_arm(peer->xen->d->loop, &peer->more, 0);
	} else if (rc < 0 && !peer->broken) {
		log_line("domain %s: nonsense on the control channel", peer->dom->name);
		peer->broken = true;
		loop_arm(peer->xen->d->loop, &peer->xen->look, 0);
	}
}

static void more(struct timer *timer)
{
	listen_to(xvmc_list_entry(timer, struct peer, more));
}

static void rung(struct watch *watch, uint32_t events)
{
	(void)events;
	listen_to(xvmc_list_entry(watch, struct peer, bell));
}

void peer_up(struct peer *peer, struct ctl *ctl)
{
	int rc;

	peer->ctl = ctl;
	peer->bell = (struct watch){ .fd = ctl_fd(ctl), .ready = rung };
	rc = loop_add(peer->xen->d->loop, &peer->bell, EPOLLIN);
	if (rc < 0)
		log_line("domain %s: %s", peer->dom->name, strerror(-rc));
	log_line("domain %s: control channel, %s", peer->dom->name, peer->leader ? "we lead" : "it leads");
	if (!peer->leader)
		routes_tell(peer);
}

void peer_hang_up(struct peer *peer)
{
	if (!peer->ctl)
		return;
	loop_del(peer->xen->d->loop, &peer->bell);
	loop_disarm(peer->xen->d->loop, &peer->more);
	ctl_free(peer->ctl);
	peer->ctl = NULL;
}

void peer_down(struct peer *peer, uint32_t reason)
{
	if (!peer->ctl)
		return;
	while (!xvmc_list_empty(&peer->proxies))
		proxy_free(xvmc_list_entry(peer->proxies.next, struct agent, conn.node), reason);
	peer_hang_up(peer);
}

bool peer_quiet(const struct peer *peer)
{
	return peer->dom->suspending || peer->xen->self->suspending;
}

/* ---- coming and going ---- */

static void take_addrs(struct xvmc_lh_dom *dom, char *words)
{
	for (char *w = strtok(words, " "); w && dom->naddrs < XVMC_ADDRS_MAX; w = strtok(NULL, " ")) {
		struct in6_addr ip = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

		if (inet_pton(AF_INET, w, &ip.s6_addr[12]) == 1 || inet_pton(AF_INET6, w, &ip) == 1)
			dom->addr[dom->naddrs++] = ip;
	}
}

int peer_new(struct xen_mode *xen, uint32_t domid, const char *said)
{
	struct xvmcd *d = xen->d;
	struct peer *peer = calloc(1, sizeof(*peer));
	char words[XEN_STORE_TEXT], name[XVMC_NAME_MAX] = "", *rest;
	int rc;

	if (!peer)
		return -ENOMEM;
	strcpy(words, said);
	rest = words + strcspn(words, " ");
	if (*rest)
		*rest++ = '\0';
	if (strlen(words) < sizeof(name))
		strcpy(name, words);
	if (!xvmc_lh_name_ok(name) || xvmc_lh_dom_by_name(d->lh, name))
		snprintf(name, sizeof(name), "dom%u", domid);
	rc = xvmc_lh_dom_create(d->lh, name, xen->self->host, false, &peer->dom);
	if (rc < 0) {
		free(peer);
		return rc;
	}
	peer->xen = xen;
	peer->domid = peer->dom->domid = domid;
	peer->leader = xen->domid < domid;
	peer->more.fire = more;
	strcpy(peer->said, said);
	xvmc_list_init(&peer->proxies);
	take_addrs(peer->dom, rest);
	xvmc_list_add(&xen->peers, &peer->node);
	board_put(d, peer->dom);
	log_line("domain %s is here: domid %u", name, domid);
	return 0;
}

void peer_gone(struct peer *peer, uint32_t reason)
{
	struct xen_mode *xen = peer->xen;
	struct xvmc_lh_dom *dom = peer->dom;

	/* Processes first: what they end themselves is no surprise. */
	if (reason == XVMC_R_MIGRATE_PEER)
		migrate_say_finish(xen->d, dom, dom->host, peer->domid);
	peer_down(peer, reason);
	migrate_off(xen->d, dom);
	xvmc_list_del(&peer->node);
	routes_lose(peer, reason);
	dom_end(xen->d, dom);
	free(peer);
}

struct peer *peer_by_addr(struct xen_mode *xen, const struct in6_addr *ip)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &xen->peers) {
		struct peer *peer = xvmc_list_entry(it, struct peer, node);

		if (has_addr(peer, ip))
			return peer;
	}
	return NULL;
}
