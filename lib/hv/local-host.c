/* SPDX-License-Identifier: MIT */
/*
 * The pretended machine: its hosts, its domains, which is where.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "local-host-own.h"

/* ---- the machine ---- */

int xvmc_lh_new(const struct xvmc_lh_limits *limits, struct xvmc_lh **ret_lh)
{
	struct xvmc_lh *lh = calloc(1, sizeof(*lh));

	if (!lh)
		return -ENOMEM;
	lh->limits = *limits;
	lh->next_domid = 1; /* 0 is dom0, that is nobody here */
	for (unsigned int i = 0; i < KINDS; i++)
		lh->next[i] = 1;
	xvmc_list_init(&lh->doms);
	for (unsigned int i = 0; i < LH_BUCKETS; i++)
		xvmc_list_init(&lh->bucket[i]);
	*ret_lh = lh;
	return 0;
}

static void end_clients(struct xvmc_lh *lh, struct xvmc_lh_dom *dom)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &dom->clients)
		xvmc_lh_client_end(lh, xvmc_list_entry(it, struct xvmc_lh_client, node));
}

void xvmc_lh_free(struct xvmc_lh *lh)
{
	if (!lh)
		return;
	for (unsigned int i = 0; i < XVMC_BOARD_DOMS; i++) {
		if (!lh->slot[i])
			continue;
		end_clients(lh, lh->slot[i]);
		xvmc_lh_dom_destroy(lh, lh->slot[i]);
	}
	free(lh);
}

bool xvmc_lh_name_ok(const char name[XVMC_NAME_MAX])
{
	size_t n = strnlen(name, XVMC_NAME_MAX);

	return n > 0 && n < XVMC_NAME_MAX &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			    "0123456789_.-") == n;
}

int xvmc_lh_host(struct xvmc_lh *lh, const char *name, uint32_t *ret_host)
{
	uint32_t i;

	for (i = 0; i < lh->nhosts; i++)
		if (strcmp(lh->host[i], name) == 0)
			break;
	if (i == LH_HOSTS_MAX)
		return -ENOSPC;
	if (i == lh->nhosts)
		strcpy(lh->host[lh->nhosts++], name);
	*ret_host = i;
	return 0;
}

const char *xvmc_lh_host_name(const struct xvmc_lh *lh, uint32_t host)
{
	return host < lh->nhosts ? lh->host[host] : "";
}

static int dom_add(struct xvmc_lh *lh, const char *name, uint32_t slot,
		   struct xvmc_lh_dom **ret_dom)
{
	struct xvmc_lh_dom *dom = calloc(1, sizeof(*dom));

	if (!dom)
		return -ENOMEM;
	strcpy(dom->name, name);
	dom->slot = slot;
	xvmc_list_init(&dom->clients);
	xvmc_list_add(&lh->doms, &dom->node);
	lh->slot[slot] = dom;
	*ret_dom = dom;
	return 0;
}

int xvmc_lh_dom_create(struct xvmc_lh *lh, const char *name, uint32_t host,
		       bool automatic, struct xvmc_lh_dom **ret_dom)
{
	struct xvmc_lh_dom *dom;
	uint32_t slot = 0;
	int rc;

	if (xvmc_lh_dom_by_name(lh, name))
		return -EEXIST;
	while (slot < XVMC_BOARD_DOMS && lh->slot[slot])
		slot++;
	if (slot == XVMC_BOARD_DOMS)
		return -ENOSPC;
	rc = dom_add(lh, name, slot, &dom);
	if (rc < 0)
		return rc;
	dom->domid = lh->next_domid++;
	dom->host = host;
	dom->automatic = automatic;
	*ret_dom = dom;
	return 0;
}

int xvmc_lh_dom_recover(struct xvmc_lh *lh, uint32_t slot,
			const struct xvmc_board_dom *entry)
{
	struct xvmc_lh_dom *dom = NULL;
	uint32_t host;
	int rc;

	if (slot >= XVMC_BOARD_DOMS || lh->slot[slot] || entry->domid == 0 ||
	    entry->naddrs > XVMC_ADDRS_MAX || !xvmc_lh_name_ok(entry->name) ||
	    !xvmc_lh_name_ok(entry->host_name))
		return -EINVAL;
	if (xvmc_lh_dom_by_name(lh, entry->name))
		return -EEXIST;
	rc = xvmc_lh_host(lh, entry->host_name, &host);
	if (rc == 0)
		rc = dom_add(lh, entry->name, slot, &dom);
	if (rc < 0)
		return rc;
	dom->domid = entry->domid;
	dom->incarnation = entry->incarnation;
	dom->host = host;
	dom->automatic = entry->flags & XVMC_BOARD_AUTO;
	dom->naddrs = entry->naddrs;
	memcpy(dom->addr, entry->addr, sizeof(dom->addr));
	xvmc_lh_skip_domids(lh, dom->domid + 1);
	return 0;
}

struct xvmc_lh_dom *xvmc_lh_dom_by_name(struct xvmc_lh *lh, const char *name)
{
	for (unsigned int i = 0; i < XVMC_BOARD_DOMS; i++)
		if (lh->slot[i] && strcmp(lh->slot[i]->name, name) == 0)
			return lh->slot[i];
	return NULL;
}

struct xvmc_lh_dom *xvmc_lh_dom_by_slot(struct xvmc_lh *lh, uint32_t slot)
{
	return slot < XVMC_BOARD_DOMS ? lh->slot[slot] : NULL;
}

uint32_t xvmc_lh_next_domid(const struct xvmc_lh *lh)
{
	return lh->next_domid;
}

void xvmc_lh_skip_domids(struct xvmc_lh *lh, uint32_t next_domid)
{
	if (next_domid > lh->next_domid)
		lh->next_domid = next_domid;
}

struct xvmc_lh_dom *xvmc_lh_dom_unused(struct xvmc_lh *lh)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &lh->doms) {
		struct xvmc_lh_dom *dom = xvmc_list_entry(it, struct xvmc_lh_dom, node);

		if (dom->automatic && dom->users == 0)
			return dom;
	}
	return NULL;
}

void xvmc_lh_dom_use(struct xvmc_lh_dom *dom)
{
	dom->users++;
}

/* The order of the list is that of the last use. */
void xvmc_lh_dom_unuse(struct xvmc_lh *lh, struct xvmc_lh_dom *dom)
{
	dom->users--;
	xvmc_list_del(&dom->node);
	xvmc_list_add(&lh->doms, &dom->node);
}

void xvmc_lh_dom_move(struct xvmc_lh *lh, struct xvmc_lh_dom *dom,
		      uint32_t host)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &dom->clients)
		lh_client_drop(lh, xvmc_list_entry(it, struct xvmc_lh_client, node), false);
	dom->incarnation++;
	dom->domid = lh->next_domid++;
	dom->host = host;
}

void xvmc_lh_dom_destroy(struct xvmc_lh *lh, struct xvmc_lh_dom *dom)
{
	xvmc_list_del(&dom->node);
	lh->slot[dom->slot] = NULL;
	free(dom);
}

void xvmc_lh_dom_entry(const struct xvmc_lh *lh, const struct xvmc_lh_dom *dom,
		       struct xvmc_board_dom *ret_entry)
{
	memset(ret_entry, 0, sizeof(*ret_entry));
	ret_entry->in_use = 1;
	ret_entry->domid = dom->domid;
	ret_entry->incarnation = dom->incarnation;
	ret_entry->host = dom->host;
	ret_entry->flags = (dom->automatic ? XVMC_BOARD_AUTO : 0) |
			   (dom->self ? XVMC_BOARD_SELF : 0);
	ret_entry->naddrs = dom->naddrs;
	strcpy(ret_entry->name, dom->name);
	strcpy(ret_entry->host_name, xvmc_lh_host_name(lh, dom->host));
	memcpy(ret_entry->addr, dom->addr, dom->naddrs * sizeof(dom->addr[0]));
}
