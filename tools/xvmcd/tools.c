/* SPDX-License-Identifier: MIT */
/*
 * What the tools ask for: who is connected to whom, which domains there are,
 * what was counted, and the steering of connections and domains.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/stats.h"
#include "hv/local-wire.h"
#include "match.h"
#include "xvmcd.h"

#define LIST_WAIT (500ull * MS)

/* `xvmc ss`: one at a time asks the processes, others wait their turn. */
struct listing {
	struct xvmc_list node; /* of d->lists; the first is under way */
	struct agent *tool;
	uint32_t tool_serial;
	uint32_t serial; /* 0: not begun */
	struct timer timer;
};

static void finish(struct agent *tool, int status, uint32_t serial)
{
	agent_send_hdr(tool, XVMC_AG_END, status, serial);
}

/* ---- ss ---- */

static struct listing *current(struct xvmcd *d)
{
	return xvmc_list_empty(&d->lists) ? NULL : xvmc_list_entry(d->lists.next, struct listing, node);
}

static bool waits(struct xvmcd *d, uint32_t serial)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &d->agents)
		if (xvmc_list_entry(it, struct agent, conn.node)->query == serial)
			return true;
	return false;
}

static void begin(struct xvmcd *d, struct listing *list)
{
	struct xvmc_ag_word msg = {
		.hdr = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_QUERY, .len = sizeof(msg) },
	};
	struct xvmc_list *it, *tmp;

	list->serial = msg.hdr.serial = msg.epid = ++d->serial;
	xvmc_list_each(it, tmp, &d->agents) {
		struct agent *agent = xvmc_list_entry(it, struct agent, conn.node);

		if (agent->role != XVMC_ROLE_APP || conn_dying(&agent->conn))
			continue;
		agent->query = list->serial;
		conn_send(&agent->conn, &msg, NULL, 0);
	}
	loop_arm(d->loop, &list->timer, LIST_WAIT);
}

static void list_free(struct xvmcd *d, struct listing *list)
{
	loop_disarm(d->loop, &list->timer);
	xvmc_list_del(&list->node);
	free(list);
}

/* Ends what is complete and begins what waits. */
static void advance(struct xvmcd *d)
{
	struct listing *list;

	while ((list = current(d))) {
		if (list->serial == 0)
			begin(d, list);
		if (waits(d, list->serial))
			return;
		finish(list->tool, 0, list->tool_serial);
		list_free(d, list);
	}
}

static void late(struct timer *timer)
{
	struct listing *list = xvmc_list_entry(timer, struct listing, timer);
	struct xvmcd *d = list->tool->conn.d;
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &d->agents) {
		struct agent *agent = xvmc_list_entry(it, struct agent, conn.node);

		if (agent->query == list->serial)
			agent->query = 0;
	}
	advance(d);
}

void tools_list(struct agent *tool, uint32_t serial)
{
	struct xvmcd *d = tool->conn.d;
	struct listing *list = calloc(1, sizeof(*list));

	if (!list) {
		finish(tool, -ENOMEM, serial);
		return;
	}
	list->tool = tool;
	list->tool_serial = serial;
	list->timer.fire = late;
	xvmc_list_add(&d->lists, &list->node);
	advance(d);
}

/* A process that repeats no serial answers what it was asked last. */
static bool answers(const struct agent *agent, uint32_t serial)
{
	return agent->query != 0 && (serial == 0 || serial == agent->query);
}

void tools_row(struct agent *agent, const struct xvmc_ag_row *row)
{
	struct xvmcd *d = agent->conn.d;
	struct listing *list = current(d);
	struct xvmc_ag_row out = *row;

	if (!list || !answers(agent, row->hdr.serial))
		return;
	out.hdr.serial = list->tool_serial;
	/* As STEER and STATS_ROW know it; in a container it has another. */
	if (agent->conn.pid > 0)
		out.pid = (uint32_t)agent->conn.pid;
	if (!out.comm[0])
		memcpy(out.comm, agent->comm, sizeof(out.comm));
	out.comm[sizeof(out.comm) - 1] = '\0';
	memcpy(out.domain, agent->dom->name, sizeof(out.domain));
	memset(out.host, 0, sizeof(out.host));
	strcpy(out.host, xvmc_lh_host_name(d->lh, agent->dom->host));
	conn_send(&list->tool->conn, &out, NULL, 0);
}

void tools_row_end(struct agent *agent, uint32_t serial)
{
	if (!answers(agent, serial))
		return;
	agent->query = 0;
	advance(agent->conn.d);
}

void tools_forget_agent(struct agent *agent)
{
	struct xvmcd *d = agent->conn.d;
	struct xvmc_list *it, *tmp;

	agent->query = 0;
	xvmc_list_each(it, tmp, &d->lists) {
		struct listing *list = xvmc_list_entry(it, struct listing, node);

		if (list->tool == agent)
			list_free(d, list);
	}
	advance(d);
}

/* ---- vms ---- */

void tools_domains(struct agent *tool, uint32_t serial)
{
	struct xvmcd *d = tool->conn.d;
	struct xvmc_list *it, *tmp;

	for (uint32_t slot = 0; slot < XVMC_BOARD_DOMS; slot++) {
		const struct xvmc_lh_dom *dom = xvmc_lh_dom_by_slot(d->lh, slot);
		struct xvmc_ag_dom msg = {
			.hdr = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_DOM, .len = sizeof(msg), .serial = serial },
		};

		if (!dom)
			continue;
		msg.domid = dom->domid;
		msg.incarnation = dom->incarnation;
		msg.slot = slot;
		msg.naddrs = dom->naddrs;
		memcpy(msg.addr, dom->addr, dom->naddrs * sizeof(msg.addr[0]));
		strcpy(msg.name, dom->name);
		strcpy(msg.host, xvmc_lh_host_name(d->lh, dom->host));
		xvmc_list_each(it, tmp, &d->agents) {
			const struct agent *agent = xvmc_list_entry(it, struct agent, conn.node);

			if (agent->dom != dom)
				continue;
			msg.nprocs++;
			msg.nlinks += match_count_links(agent);
		}
		conn_send(&tool->conn, &msg, NULL, 0);
	}
	finish(tool, 0, serial);
}

/* ---- stat ---- */

static void read_stats(const struct agent *agent, uint64_t *ret_values)
{
	memset(ret_values, 0, XVMC_STATS_MAX * sizeof(*ret_values));
	if (agent->stats_fd >= 0 &&
	    pread(agent->stats_fd, ret_values, XVMC_S_COUNT * sizeof(*ret_values), 0) < 0)
		log_line("pid %d: its counts cannot be read", (int)agent->conn.pid);
}

uint64_t stats_of(const struct agent *agent, unsigned int stat)
{
	uint64_t value[XVMC_STATS_MAX];

	read_stats(agent, value);
	return value[stat];
}

void stats_keep(struct agent *agent)
{
	struct xvmcd *d = agent->conn.d;
	uint64_t value[XVMC_STATS_MAX];

	read_stats(agent, value);
	for (unsigned int i = 0; i < XVMC_S_COUNT; i++)
		if (!xvmc_stat_is_level(i))
			d->ended[i] += value[i];
	d->nended++;
}

void tools_stats(struct agent *tool, uint32_t serial)
{
	struct xvmcd *d = tool->conn.d;
	struct xvmc_ag_stats msg = {
		.hdr = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_STATS_ROW, .len = sizeof(msg), .serial = serial },
	};
	struct xvmc_ag_stats sum = msg;
	struct xvmc_list *it, *tmp;

	memcpy(sum.value, d->ended, sizeof(sum.value));
	sum.nprocs = d->nended;
	xvmc_list_each(it, tmp, &d->agents) {
		const struct agent *agent = xvmc_list_entry(it, struct agent, conn.node);

		if (agent->role != XVMC_ROLE_APP)
			continue;
		msg.pid = (uint32_t)agent->conn.pid;
		msg.nprocs = 1;
		memcpy(msg.comm, agent->comm, sizeof(msg.comm));
		memcpy(msg.domain, agent->dom->name, sizeof(msg.domain));
		read_stats(agent, msg.value);
		conn_send(&tool->conn, &msg, NULL, 0);
		for (unsigned int i = 0; i < XVMC_S_COUNT; i++)
			sum.value[i] += msg.value[i];
		sum.nprocs++;
	}
	conn_send(&tool->conn, &sum, NULL, 0);
	finish(tool, 0, serial);
}

/* ---- promote, demote ---- */

void tools_steer(struct agent *tool, const struct xvmc_ag_steer *steer)
{
	struct xvmcd *d = tool->conn.d;
	struct xvmc_list *it, *tmp;
	bool any = steer->pid == 0;

	/* First everybody hears it, then something new may be matched. */
	for (int round = 0; round < 2; round++) {
		xvmc_list_each(it, tmp, &d->agents) {
			struct agent *agent = xvmc_list_entry(it, struct agent, conn.node);

			if (agent->role != XVMC_ROLE_APP ||
			    (steer->pid != 0 && (uint32_t)agent->conn.pid != steer->pid))
				continue;
			any = true;
			if (round == 0)
				conn_send(&agent->conn, steer, NULL, 0);
			else
				match_steer(agent, steer->epid, steer->to);
		}
	}
	finish(tool, any ? 0 : -ESRCH, steer->hdr.serial);
}

/* ---- create, destroy ---- */

static int create(struct xvmcd *d, const struct xvmc_ag_domop *op)
{
	struct xvmc_lh_dom *dom, *old;
	uint32_t host;
	int rc;

	rc = xvmc_lh_host(d->lh, op->host, &host);
	if (rc < 0)
		return rc;
	rc = xvmc_lh_dom_create(d->lh, op->domain, host, false, &dom);
	old = rc == -ENOSPC ? xvmc_lh_dom_unused(d->lh) : NULL;
	if (old) {
		dom_end(d, old);
		rc = xvmc_lh_dom_create(d->lh, op->domain, host, false, &dom);
	}
	if (rc < 0)
		return rc;
	board_put(d, dom);
	log_line("domain %s: created, domid %u on host %s", dom->name, dom->domid, op->host);
	agents_vms(d);
	return 0;
}

void tools_create(struct agent *tool, const struct xvmc_ag_domop *op)
{
	finish(tool, create(tool->conn.d, op), op->hdr.serial);
}

/* As if every process of the domain had been killed at once: nothing of it
 * is shared any more, and each is let go. */
static void release_processes(struct xvmcd *d, struct xvmc_lh_dom *dom)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &d->hvs) {
		struct hvc *hvc = xvmc_list_entry(it, struct hvc, conn.node);

		if (!hvc->welcome || hvc->client.dom != dom)
			continue;
		hv_send_word(hvc, XVMC_LW_CUT, 0);
		hv_detach(hvc);
		conn_finish(&hvc->conn);
	}
	xvmc_list_each(it, tmp, &d->agents) {
		struct agent *agent = xvmc_list_entry(it, struct agent, conn.node);

		if (agent->dom != dom)
			continue;
		agent_detach(agent);
		conn_finish(&agent->conn);
	}
}

void tools_destroy(struct agent *tool, const struct xvmc_ag_domop *op)
{
	struct xvmcd *d = tool->conn.d;
	struct xvmc_lh_dom *dom = xvmc_lh_dom_by_name(d->lh, op->domain);

	if (!dom || migrate_running(d, dom)) {
		finish(tool, dom ? -EBUSY : -ENOENT, op->hdr.serial);
		return;
	}
	board_clear(d, dom->slot); /* doorbells are silent from here on */
	migrate_say_finish(d, dom, dom->host, dom->domid);
	release_processes(d, dom);
	dom_end(d, dom);
	agents_vms(d);
	finish(tool, 0, op->hdr.serial);
}
