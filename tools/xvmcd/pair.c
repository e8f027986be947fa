/* SPDX-License-Identifier: MIT */
/*
 * Pairs of addresses and the links on them.
 */
#include "pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/os.h"
#include "base/reason.h"

#define BACKOFF_MIN (10ull * MS)
#define BACKOFF_MAX (1000ull * MS)
#define LIVED (100ull * MS) /* a link that long was worth it */

/* ---- tables ---- */

static uint64_t mix(uint64_t h, const void *data, size_t n)
{
	const unsigned char *p = data;

	while (n-- > 0)
		h = (h ^ *p++) * 1099511628211u;
	return h;
}

static int addr_cmp(const struct xvmc_ag_addr *x, const struct xvmc_ag_addr *y)
{
	int c = memcmp(&x->ip, &y->ip, sizeof(x->ip));

	return c != 0 ? c : (int)x->port - (int)y->port;
}

static struct xvmc_list *pair_bucket(struct matcher *m,
				     const struct xvmc_ag_addr *a,
				     const struct xvmc_ag_addr *b)
{
	uint64_t h = 14695981039346656037u;

	h = mix(h, &a->ip, sizeof(a->ip));
	h = mix(h, &a->port, sizeof(a->port));
	h = mix(h, &b->ip, sizeof(b->ip));
	h = mix(h, &b->port, sizeof(b->port));
	return &m->pairs[(h ^ h >> 32) % PAIR_BUCKETS];
}

static struct xvmc_list *reg_bucket(struct matcher *m,
				    const struct agent *agent, uint32_t epid)
{
	uint64_t h = ((uintptr_t)agent / sizeof(*agent) + epid) * 0x9e3779b97f4a7c15u;

	return &m->regs[(h >> 32) % PAIR_BUCKETS];
}

static struct xvmc_list *link_bucket(struct matcher *m, uint64_t id)
{
	return &m->links[id % PAIR_BUCKETS];
}

struct reg *reg_find(struct matcher *m, const struct agent *agent,
		     uint32_t epid)
{
	struct xvmc_list *head = reg_bucket(m, agent, epid), *it, *tmp;

	xvmc_list_each(it, tmp, head) {
		struct reg *reg = xvmc_list_entry(it, struct reg, hash);

		if (reg->agent == agent && reg->epid == epid)
			return reg;
	}
	return NULL;
}

struct link *link_find(struct matcher *m, uint64_t id)
{
	struct xvmc_list *head = link_bucket(m, id), *it, *tmp;

	xvmc_list_each(it, tmp, head) {
		struct link *link = xvmc_list_entry(it, struct link, hash);

		if (link->id == id)
			return link;
	}
	return NULL;
}

struct reg *link_other(const struct link *link, const struct reg *reg)
{
	return link->end[link->end[0] == reg];
}

/* ---- registrations ---- */

static void retry(struct timer *timer)
{
	struct pair *pair = xvmc_list_entry(timer, struct pair, retry);

	pair_resolve(pair);
}

static struct pair *pair_get(struct matcher *m, const struct xvmc_ag_addr *a,
			     const struct xvmc_ag_addr *b)
{
	struct xvmc_list *head = pair_bucket(m, a, b), *it, *tmp;
	struct pair *pair;

	xvmc_list_each(it, tmp, head) {
		pair = xvmc_list_entry(it, struct pair, hash);
		if (addr_cmp(&pair->a, a) == 0 && addr_cmp(&pair->b, b) == 0)
			return pair;
	}
	pair = calloc(1, sizeof(*pair));
	if (!pair)
		return NULL;
	pair->matcher = m;
	pair->a = *a;
	pair->b = *b;
	pair->retry.fire = retry;
	xvmc_list_init(&pair->side[0]);
	xvmc_list_init(&pair->side[1]);
	xvmc_list_add(head, &pair->hash);
	return pair;
}

static void pair_put(struct pair *pair)
{
	if (pair->n[0] + pair->n[1] > 0)
		return;
	loop_disarm(pair->matcher->d->loop, &pair->retry);
	xvmc_list_del(&pair->hash);
	free(pair);
}

int reg_new(struct matcher *m, struct agent *agent, uint32_t epid,
	    const struct xvmc_ag_addr *local, const struct xvmc_ag_addr *remote,
	    struct reg **ret_reg)
{
	uint32_t side = addr_cmp(local, remote) > 0;
	struct pair *pair;
	struct reg *reg;

	pair = pair_get(m, side ? remote : local, side ? local : remote);
	reg = calloc(1, sizeof(*reg));
	if (!pair || !reg || pair->n[side] >= PAIR_SIDE_MAX) {
		bool crowded = pair && reg;

		free(reg);
		if (pair)
			pair_put(pair);
		return crowded ? -EMLINK : -ENOMEM;
	}
	reg->agent = agent;
	reg->epid = epid;
	reg->pair = pair;
	reg->side = side;
	xvmc_list_add(&pair->side[side], &reg->by_side);
	pair->n[side]++;
	xvmc_list_add(&agent->regs, &reg->by_agent);
	xvmc_list_add(reg_bucket(m, agent, epid), &reg->hash);
	m->nregs++;
	*ret_reg = reg;
	return 0;
}

void reg_free(struct matcher *m, struct reg *reg)
{
	struct pair *pair = reg->pair;

	xvmc_list_del(&reg->by_side);
	xvmc_list_del(&reg->by_agent);
	xvmc_list_del(&reg->hash);
	pair->n[reg->side]--;
	free(reg);
	m->nregs--;
	pair_put(pair);
}

/* ---- links ---- */

static void say_unlinked(const struct reg *reg, uint64_t link, uint32_t reason)
{
	struct xvmc_ag_word msg = {
		.hdr = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_UNLINKED, .len = sizeof(msg) },
		.epid = reg->epid,
		.reason = reason,
		.link = link,
	};

	conn_send(&reg->agent->conn, &msg, NULL, 0);
}

/* Why it is not matched; once. */
static void tell(struct reg *reg, uint32_t reason)
{
	if (reg->told == reason || reg->pinned)
		return;
	reg->told = reason;
	say_unlinked(reg, 0, reason);
}

static void say_match(const struct link *link, unsigned int i, bool strict)
{
	const struct reg *reg = link->end[i], *other = link->end[!i];
	struct xvmc_ag_match msg = {
		.hdr = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_MATCH, .len = sizeof(msg) },
		.epid = reg->epid,
		.peer_domid = other->agent->dom->domid,
		.link = link->id,
		.pages_max = other->pages_max,
		.strict = strict,
	};

	conn_send(&reg->agent->conn, &msg, NULL, 0);
}

static uint64_t new_id(struct matcher *m)
{
	uint64_t id;

	do
		if (getrandom(&id, sizeof(id), 0) != sizeof(id))
			id = os_now_ns() * 0x9e3779b97f4a7c15u;
	while (id == 0 || link_find(m, id));
	return id;
}

static struct link *link_new(struct matcher *m, struct reg *x, struct reg *y,
			     uint64_t id)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->id = id;
	link->end[0] = x;
	link->end[1] = y;
	link->born = os_now_ns();
	xvmc_list_add(link_bucket(m, id), &link->hash);
	for (int i = 0; i < 2; i++) {
		link->end[i]->link = link;
		link->end[i]->told = 0;
		link->end[i]->claim = 0;
	}
	return link;
}

/* After such an end there is no hurry to try again. */
static void back_off(struct pair *pair, uint64_t lived)
{
	if (lived > LIVED || pair->backoff == 0)
		pair->backoff = BACKOFF_MIN;
	else
		pair->backoff = pair->backoff < BACKOFF_MAX / 2 ? 2 * pair->backoff : BACKOFF_MAX;
	pair->not_before = os_now_ns() + pair->backoff;
}

static bool by_migration(uint32_t reason)
{
	return reason == XVMC_R_PREPARE || reason == XVMC_R_MIGRATE_SELF ||
	       reason == XVMC_R_MIGRATE_PEER || reason == XVMC_R_NOT_CORESIDENT;
}

void link_end(struct matcher *m, struct link *link, const struct reg *by,
	      const uint32_t reasons[2])
{
	for (int i = 0; i < 2; i++) {
		struct reg *reg = link->end[i];

		reg->link = NULL;
		if (reg != by)
			say_unlinked(reg, link->id, reasons[i]);
	}
	if (!by_migration(reasons[0]))
		back_off(link->end[0]->pair, os_now_ns() - link->born);
	xvmc_list_del(&link->hash);
	free(link);
}

/* ---- matching ---- */

static bool is_local_only(const struct in6_addr *ip)
{
	return IN6_IS_ADDR_LOOPBACK(ip) || IN6_IS_ADDR_UNSPECIFIED(ip) ||
	       IN6_IS_ADDR_LINKLOCAL(ip) ||
	       (IN6_IS_ADDR_V4MAPPED(ip) && (ip->s6_addr[12] == 127 || ip->s6_addr[12] == 0));
}

static bool claims(const struct agent *agent, const struct in6_addr *ip)
{
	for (uint32_t i = 0; i < agent->naddrs; i++)
		if (memcmp(&agent->addr[i], ip, sizeof(*ip)) == 0)
			return true;
	return false;
}

/* An address means a namespace if that one claims it and no other does. */
static bool sole_claim(const struct reg *reg)
{
	const struct in6_addr *ip = reg->side ? &reg->pair->b.ip : &reg->pair->a.ip;
	struct xvmc_list *it, *tmp;

	if (is_local_only(ip) || !claims(reg->agent, ip))
		return false;
	xvmc_list_each(it, tmp, &reg->agent->conn.d->agents) {
		const struct agent *other = xvmc_list_entry(it, struct agent, conn.node);

		if (other->role == XVMC_ROLE_APP && claims(other, ip) &&
		    (other->netns != reg->agent->netns || other->netns == 0) &&
		    other != reg->agent)
			return false;
	}
	return true;
}

static bool same_netns(const struct reg *x, const struct reg *y)
{
	return x->agent->netns != 0 && x->agent->netns == y->agent->netns;
}

/* How many of a side are in reg's namespace; the last of them. */
static uint32_t count_same(const struct pair *pair, uint32_t side,
			   const struct reg *reg, struct reg **ret_last)
{
	struct xvmc_list *it, *tmp;
	uint32_t n = 0;

	xvmc_list_each(it, tmp, &pair->side[side]) {
		struct reg *other = xvmc_list_entry(it, struct reg, by_side);

		if (other == reg || same_netns(other, reg)) {
			*ret_last = other;
			n++;
		}
	}
	return n;
}

/*
 * The only registration that can be the other end. 1: found; 0: nobody has
 * registered; -EEXIST: it could be several.
 */
static int partner(const struct reg *reg, struct reg **ret_other,
		   bool *ret_strict)
{
	const struct pair *pair = reg->pair;
	struct reg *other = NULL, *same;
	uint32_t mine, theirs;

	mine = count_same(pair, reg->side, reg, &same);
	theirs = count_same(pair, !reg->side, reg, &other);
	if (mine > 1 || theirs > 1)
		return -EEXIST;
	if (theirs == 1) {
		*ret_strict = false;
	} else {
		if (pair->n[!reg->side] == 0)
			return 0;
		other = xvmc_list_entry(pair->side[!reg->side].next, struct reg, by_side);
		if (pair->n[0] != 1 || pair->n[1] != 1 || !sole_claim(reg) || !sole_claim(other))
			return -EEXIST;
		*ret_strict = true;
	}
	*ret_other = other;
	return 1;
}

/* Links that are older than this xvmcd: both ends say the same one, or it is
 * no link. Returns whether it goes on. */
static bool settle_claims(struct matcher *m, struct reg *x, struct reg *y)
{
	struct reg *ends[2] = { x, y };

	if (x->claim == 0 && y->claim == 0)
		return false;
	if (x->claim == y->claim && !link_find(m, x->claim) &&
	    link_new(m, x, y, x->claim))
		return true;
	for (int i = 0; i < 2; i++) {
		if (ends[i]->claim)
			say_unlinked(ends[i], ends[i]->claim, XVMC_R_NO_XVMCD);
		ends[i]->claim = 0;
	}
	return false;
}

/* Links two ends that belong together, as soon as nothing speaks against. */
static void match(struct pair *pair, struct reg *x, struct reg *y, bool strict)
{
	struct matcher *m = pair->matcher;
	const struct xvmc_lh_dom *xd = x->agent->dom, *yd = y->agent->dom;
	uint64_t now = os_now_ns();
	struct link *link;

	if (x->link || y->link || x->pinned || y->pinned || xd->suspending ||
	    yd->suspending || conn_dying(&x->agent->conn) || conn_dying(&y->agent->conn))
		return;
	if (xd->host != yd->host) {
		tell(x, XVMC_R_NOT_CORESIDENT);
		tell(y, XVMC_R_NOT_CORESIDENT);
		return;
	}
	if (settle_claims(m, x, y))
		return;
	if (now < pair->not_before) {
		loop_arm(m->d->loop, &pair->retry, pair->not_before - now);
		return;
	}
	link = link_new(m, x, y, new_id(m));
	if (!link)
		return;
	say_match(link, 0, strict);
	say_match(link, 1, strict);
}

void pair_resolve(struct pair *pair)
{
	struct xvmc_list *it, *tmp;

	for (int side = 0; side < 2; side++) {
		xvmc_list_each(it, tmp, &pair->side[side]) {
			struct reg *reg = xvmc_list_entry(it, struct reg, by_side), *other;
			bool strict;
			int rc;

			if (reg->link)
				continue;
			rc = partner(reg, &other, &strict);
			if (rc == -EEXIST)
				tell(reg, XVMC_R_AMBIGUOUS);
			else if (rc == 1 && side == 0)
				match(pair, reg, other, strict);
		}
	}
}
