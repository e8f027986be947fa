/* SPDX-License-Identifier: MIT */
/*
 * Who may have a larger ring. What a guest may share in all is limited, and no
 * process knows what the others have: each says what it has in its page of
 * counters (ring_pages). A larger ring than usual comes out of the first half of
 * what there is, so that those who come later find pages; if one finds none after
 * all, the larger ones make way.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/stats.h"
#include "xvmcd.h"

#define GNTALLOC_LIMIT "/sys/module/xen_gntalloc/parameters/limit"
#define GNTALLOC_USUAL 1024u

/* The kernel's own, of all processes together; root may change it at any time. */
static uint64_t gntalloc_limit(void)
{
	char text[24] = { 0 };
	int fd = open(GNTALLOC_LIMIT, O_RDONLY | O_CLOEXEC);
	ssize_t n = -1;

	if (fd >= 0) {
		n = read(fd, text, sizeof(text) - 1);
		close(fd);
	}
	return n > 0 ? strtoull(text, NULL, 10) : GNTALLOC_USUAL;
}

static uint64_t pages_used(const struct agent *asker)
{
	struct xvmc_list *it, *tmp;
	uint64_t sum = 0;

	xvmc_list_each(it, tmp, &asker->conn.d->agents) {
		const struct agent *agent = xvmc_list_entry(it, struct agent, conn.node);

		if (agent->role == XVMC_ROLE_APP && agent->dom == asker->dom)
			sum += stats_of(agent, XVMC_S_RING_PAGES);
	}
	return sum;
}

static int may_have(const struct agent *agent, const struct xvmc_ag_pages *msg)
{
	const struct xvmcd *d = agent->conn.d;
	uint64_t limit = d->xen ? gntalloc_limit() : d->opt.limits.max_grants;
	uint64_t used;

	/* All that is in a ring then is dirty once more. */
	if (!xvmc_list_empty(&d->migrations))
		return -ENOSPC;
	if (msg->more)
		limit /= 2;
	used = pages_used(agent);
	return used <= limit && msg->pages <= limit - used ? 0 : -ENOSPC;
}

/* None were left for a ring of the usual size. */
static void make_way(struct agent *asker)
{
	const struct xvmc_agent_hdr msg = { .version = XVMC_AGENT_VERSION,
					    .type = XVMC_AG_SHORT,
					    .len = sizeof(msg) };
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &asker->conn.d->agents) {
		struct agent *agent = xvmc_list_entry(it, struct agent, conn.node);

		if (!agent->has_more || agent->dom != asker->dom)
			continue;
		agent->has_more = false;
		conn_send(&agent->conn, &msg, NULL, 0);
	}
}

void pages_asked(struct agent *agent, const struct xvmc_ag_pages *msg)
{
	struct xvmc_ag_pages answer = *msg;

	if (!msg->pages) {
		make_way(agent);
		return;
	}
	answer.hdr.status = may_have(agent, msg);
	if (answer.hdr.status == 0 && msg->more)
		agent->has_more = true;
	conn_send(&agent->conn, &answer, NULL, 0);
}
