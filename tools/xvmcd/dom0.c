/* SPDX-License-Identifier: MIT */
/*
 * dom0's part, the VM State Publisher's authority: tells each guest that runs
 * xvmcd which others are here, and which addresses are theirs, by what dom0
 * itself has written. A guest says of itself only that it takes part. An
 * address that two guests have is nobody's.
 *
 * Again one look at all of it whenever something has changed; what is right
 * already is not written again, or that would be a change, too.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/xen-store.h"
#include "xen.h"

#define GUESTS_MAX XVMC_BOARD_DOMS
#define SETTLE_MS 50

struct guest {
	uint32_t domid;
	bool member;
	char name[XVMC_NAME_MAX];
	uint32_t naddrs;
	char addr[XVMC_ADDRS_MAX][48];
};

struct dom0 {
	struct xen_store *store;
	uint32_t n;
	struct guest guest[GUESTS_MAX];
	struct guest *at; /* whose interfaces are being read */
};

static bool is_number(const char *name, uint32_t *ret)
{
	char *end;
	unsigned long n = strtoul(name, &end, 10);

	*ret = (uint32_t)n;
	return end != name && !*end && n < 0x7ff0;
}

static bool take_vif(void *arg, const char *name)
{
	struct dom0 *d0 = arg;
	struct guest *g = d0->at;
	char path[96], text[XEN_STORE_TEXT];

	/* Written by the toolstack, from ip= in the guest's configuration. */
	snprintf(path, sizeof(path), "/local/domain/0/backend/vif/%u/%.16s/ip", g->domid, name);
	if (xen_store_read(d0->store, path, text) < 0)
		return true;
	for (char *w = strtok(text, " "); w; w = strtok(NULL, " "))
		if (g->naddrs < XVMC_ADDRS_MAX && strlen(w) < sizeof(g->addr[0]))
			strcpy(g->addr[g->naddrs++], w);
	return true;
}

static bool take_guest(void *arg, const char *name)
{
	struct dom0 *d0 = arg;
	char path[96], text[XEN_STORE_TEXT];
	struct guest *g = &d0->guest[d0->n];
	uint32_t domid;

	if (!is_number(name, &domid) || domid == 0)
		return true;
	if (d0->n == GUESTS_MAX)
		return false;
	*g = (struct guest){ .domid = domid };
	snprintf(path, sizeof(path), "/local/domain/%u/name", domid);
	if (xen_store_read(d0->store, path, text) < 0)
		return true; /* not there yet, or going */
	snprintf(g->name, sizeof(g->name), "%.31s", text);
	snprintf(path, sizeof(path), "/local/domain/%u/data/xvmc/version", domid);
	g->member = xen_store_read(d0->store, path, text) == 0;
	d0->at = g;
	snprintf(path, sizeof(path), "/local/domain/0/backend/vif/%u", domid);
	xen_store_list(d0->store, path, take_vif, d0);
	d0->n++;
	return true;
}

static bool is_sole(const struct dom0 *d0, const struct guest *owner, const char *addr)
{
	for (uint32_t i = 0; i < d0->n; i++) {
		const struct guest *g = &d0->guest[i];

		for (uint32_t k = 0; g != owner && k < g->naddrs; k++)
			if (strcmp(g->addr[k], addr) == 0)
				return false;
	}
	return true;
}

/* What the others hear of a guest; empty: nothing. */
static void words(const struct dom0 *d0, const struct guest *g, char *ret_text)
{
	size_t n;
	bool any = false;

	n = (size_t)snprintf(ret_text, XEN_STORE_TEXT, "%s", g->name);
	for (uint32_t k = 0; k < g->naddrs; k++) {
		if (!is_sole(d0, g, g->addr[k]))
			continue;
		n += (size_t)snprintf(ret_text + n, XEN_STORE_TEXT - n, " %s", g->addr[k]);
		any = true;
	}
	if (!any || !g->member)
		ret_text[0] = '\0';
}

/* Said once for as long as it lasts: the last looks' domids are remembered. */
static void doubt(struct dom0 *d0)
{
	static uint32_t said[GUESTS_MAX];
	static uint32_t nsaid;
	uint32_t now[GUESTS_MAX], n = 0;

	for (uint32_t i = 0; i < d0->n; i++) {
		const struct guest *g = &d0->guest[i];
		bool old = false;

		for (uint32_t k = 0; k < g->naddrs; k++) {
			if (is_sole(d0, g, g->addr[k]))
				continue;
			for (uint32_t j = 0; j < nsaid; j++)
				old = old || said[j] == g->domid;
			if (!old)
				log_line("domain %s (domid %u): address %s is claimed twice: nobody's",
					 g->name, g->domid, g->addr[k]);
			now[n++] = g->domid;
			break;
		}
	}
	memcpy(said, now, n * sizeof(now[0]));
	nsaid = n;
}

struct sweep {
	struct dom0 *d0;
	const struct guest *to;
};

/* Withdraws those that are no more. */
static bool withdraw(void *arg, const char *name)
{
	struct sweep *sweep = arg;
	char path[96];
	uint32_t domid;

	if (is_number(name, &domid))
		for (uint32_t i = 0; i < sweep->d0->n; i++)
			if (sweep->d0->guest[i].domid == domid)
				return true;
	snprintf(path, sizeof(path), "/local/domain/%u/xvmc/peers/%.16s", sweep->to->domid, name);
	xen_store_remove(sweep->d0->store, path);
	log_line("domain %s hears no more of domid %s", sweep->to->name, name);
	return true;
}

static void tell(struct dom0 *d0, const struct guest *to, const struct guest *of)
{
	char path[96], now[XEN_STORE_TEXT] = "", text[XEN_STORE_TEXT] = "";
	int rc = 0;

	snprintf(path, sizeof(path), "/local/domain/%u/xvmc/peers/%u", to->domid, of->domid);
	if (xen_store_read(d0->store, path, now) < 0)
		now[0] = '\0';
	if (to->member)
		words(d0, of, text);
	if (strcmp(now, text) == 0)
		return;
	if (text[0])
		rc = xen_store_write(d0->store, path, text);
	else
		rc = xen_store_remove(d0->store, path);
	log_line("domain %s (domid %u) hears of domid %u: %s%s%s", to->name, to->domid, of->domid,
		 text[0] ? text : "nothing more", rc < 0 ? ": " : "", rc < 0 ? strerror(-rc) : "");
}

static void look(struct dom0 *d0)
{
	d0->n = 0;
	xen_store_list(d0->store, "/local/domain", take_guest, d0);
	doubt(d0);
	for (uint32_t i = 0; i < d0->n; i++) {
		struct sweep sweep = { d0, &d0->guest[i] };
		char path[64];

		snprintf(path, sizeof(path), "/local/domain/%u/xvmc/peers", d0->guest[i].domid);
		xen_store_list(d0->store, path, withdraw, &sweep);
		for (uint32_t k = 0; k < d0->n; k++)
			if (k != i)
				tell(d0, &d0->guest[i], &d0->guest[k]);
	}
}

int dom0_run(void)
{
	static struct dom0 d0;
	static const char *const watched[] = { "/local/domain", "@introduceDomain", "@releaseDomain" };
	struct pollfd pfd = { .events = POLLIN };
	int rc = xen_store_open(&d0.store);

	for (size_t i = 0; rc == 0 && i < sizeof(watched) / sizeof(watched[0]); i++)
		rc = xen_store_watch(d0.store, watched[i]);
	if (rc < 0)
		return rc;
	pfd.fd = xen_store_fd(d0.store);
	log_line("dom0: ready");
	for (;;) {
		look(&d0);
		poll(&pfd, 1, -1);
		/* What comes together is looked at together. */
		poll(NULL, 0, SETTLE_MS);
		xen_store_fired(d0.store);
	}
}
