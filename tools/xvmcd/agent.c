/* SPDX-License-Identifier: MIT */
/*
 * agent.sock: who says hello, and which message goes where. Every message's
 * form is checked here, once; the files behind may trust it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/reason.h"
#include "match.h"
#include "peer.h"
#include "xen.h"

#define PRECOPY_MAX_MS 3600000u

union msg {
	struct xvmc_agent_hdr hdr;
	struct xvmc_ag_hello hello;
	struct xvmc_ag_register reg;
	struct xvmc_ag_word word;
	struct xvmc_ag_relay relay;
	struct xvmc_ag_adopt adopt;
	struct xvmc_ag_row row;
	struct xvmc_ag_pages pages;
	struct xvmc_ag_steer steer;
	struct xvmc_ag_domop domop;
};

static struct agent *agent_of(struct conn *conn)
{
	return (struct agent *)conn;
}

void agent_send_hdr(struct agent *agent, uint16_t type, int32_t status,
		    uint32_t serial)
{
	struct xvmc_agent_hdr msg = { .version = XVMC_AGENT_VERSION,
				      .type = type,
				      .len = sizeof(msg),
				      .status = status,
				      .serial = serial };

	conn_send(&agent->conn, &msg, NULL, 0);
}

void agents_vms(struct xvmcd *d)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &d->agents) {
		struct agent *agent = xvmc_list_entry(it, struct agent, conn.node);

		if (agent->role == XVMC_ROLE_APP)
			agent_send_hdr(agent, XVMC_AG_VMS, 0, 0);
	}
}

/* ---- domains ---- */

int dom_get(struct xvmcd *d, const char *name, struct xvmc_lh_dom **ret_dom)
{
	struct xvmc_lh_dom *dom = xvmc_lh_dom_by_name(d->lh, name), *old;
	uint32_t host;
	int rc;

	/* In a Xen guest all processes are the guest's, whatever they say. */
	if (d->xen)
		dom = d->xen->self;
	if (dom) {
		*ret_dom = dom;
		return 0;
	}
	rc = xvmc_lh_host(d->lh, d->opt.host, &host);
	if (rc < 0)
		return rc;
	rc = xvmc_lh_dom_create(d->lh, name, host, true, &dom);
	if (rc == -ENOSPC) {
		old = xvmc_lh_dom_unused(d->lh);
		if (!old)
			return rc;
		dom_end(d, old);
		rc = xvmc_lh_dom_create(d->lh, name, host, true, &dom);
	}
	if (rc < 0)
		return rc;
	board_put(d, dom);
	log_line("domain %s: domid %u on host %s", dom->name, dom->domid, d->opt.host);
	agents_vms(d);
	*ret_dom = dom;
	return 0;
}

void dom_end(struct xvmcd *d, struct xvmc_lh_dom *dom)
{
	log_line("domain %s: ended", dom->name);
	board_clear(d, dom->slot);
	xvmc_lh_dom_destroy(d->lh, dom);
}

/* Merges a process's addresses into its domain's. The first process of a
 * domain that was empty replaces them. Returns whether they changed. */
static bool add_addrs(struct xvmc_lh_dom *dom, const struct agent *agent)
{
	uint32_t old = dom->naddrs, n = dom->users == 0 ? 0 : old;
	struct in6_addr addr[XVMC_ADDRS_MAX];

	memcpy(addr, dom->addr, sizeof(addr));
	for (uint32_t i = 0; i < agent->naddrs && n < XVMC_ADDRS_MAX; i++) {
		uint32_t j = 0;

		while (j < n && memcmp(&addr[j], &agent->addr[i], sizeof(addr[j])) != 0)
			j++;
		if (j == n)
			addr[n++] = agent->addr[i];
	}
	if (n == old && memcmp(addr, dom->addr, n * sizeof(addr[0])) == 0)
		return false;
	memcpy(dom->addr, addr, sizeof(addr));
	dom->naddrs = n;
	return true;
}

/* ---- hello ---- */

static int check_hello(const struct xvmc_ag_hello *msg)
{
	if (msg->role != XVMC_ROLE_APP && msg->role != XVMC_ROLE_TOOL)
		return -EPROTO;
	if (msg->naddrs > XVMC_ADDRS_MAX)
		return -EPROTO;
	/* A tool need not belong anywhere. */
	if (msg->role == XVMC_ROLE_TOOL && msg->domain[0] == '\0')
		return 0;
	if (!xvmc_lh_name_ok(msg->domain))
		return -EPROTO;
	return 0;
}

/* The stats page is only ever read by pread, so a process cannot hurt us
 * with it; a memfd, because reading anything else could block. */
static int take_stats(struct agent *agent, int *fds, unsigned int nfds)
{
	struct stat st;

	if (nfds == 0)
		return 0;
	if (fcntl(fds[0], F_GET_SEALS) < 0 || fstat(fds[0], &st) < 0 || !S_ISREG(st.st_mode))
		return -EPROTO;
	agent->stats_fd = fds[0];
	fds[0] = -1;
	return 0;
}

/* Its domain exists from now on and has its addresses. */
static int enter(struct agent *agent, const struct xvmc_ag_hello *msg,
		 struct xvmc_lh_dom **ret_dom)
{
	struct xvmcd *d = agent->conn.d;
	struct xvmc_lh_dom *dom;
	int rc;

	rc = dom_get(d, msg->domain, &dom);
	if (rc < 0)
		return rc;
	agent->naddrs = msg->naddrs;
	memcpy(agent->addr, msg->addr, sizeof(agent->addr));
	if (add_addrs(dom, agent)) {
		board_put(d, dom);
		agents_vms(d);
	}
	*ret_dom = dom;
	return 0;
}

/* The namespace a process says it is in decides what it is matched with. Who
 * is not our own user is not asked: the kernel is. 0: unknown. */
static uint64_t netns_of(const struct agent *agent, uint64_t said)
{
	char path[40];
	struct stat st;

	if (agent->conn.uid == geteuid())
		return said;
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)agent->conn.pid);
	return stat(path, &st) == 0 ? st.st_ino : 0;
}

/* A process belongs to its domain; a tool that names one only prepares it
 * for processes to come. */
static int greet(struct agent *agent, const struct xvmc_ag_hello *msg)
{
	struct xvmc_ag_welcome welcome = {
		.hdr = { .version = XVMC_AGENT_VERSION,
			 .type = XVMC_AG_WELCOME,
			 .len = sizeof(welcome),
			 .serial = msg->hdr.serial },
	};
	struct xvmc_lh_dom *dom = NULL;
	int rc;

	if (msg->domain[0]) {
		rc = enter(agent, msg, &dom);
		if (rc < 0)
			return rc;
		welcome.domid = dom->domid;
		welcome.incarnation = dom->incarnation;
		welcome.slot = dom->slot;
	}
	agent->role = msg->role;
	agent->netns = netns_of(agent, msg->netns);
	memcpy(agent->comm, msg->comm, sizeof(agent->comm) - 1);
	if (msg->role == XVMC_ROLE_APP) {
		agent->dom = dom;
		xvmc_lh_dom_use(dom);
	}
	welcome.xen = agent->conn.d->xen != NULL;
	conn_send(&agent->conn, &welcome, NULL, 0);
	return 0;
}

static int hello(struct agent *agent, const struct xvmc_ag_hello *msg,
		 int *fds, unsigned int nfds)
{
	int rc;

	if (agent->role != 0)
		return -EPROTO;
	rc = check_hello(msg);
	if (rc < 0)
		return rc;
	if (msg->role == XVMC_ROLE_APP)
		rc = take_stats(agent, fds, nfds);
	return rc < 0 ? rc : greet(agent, msg);
}

/* ---- which message, of which form, from whom ---- */

struct form {
	uint32_t role; /* 0: before hello */
	size_t min, max;
};

static struct form form(uint16_t type)
{
	const size_t body = offsetof(struct xvmc_ag_relay, body);

#define FIXED(role, t) (struct form){ role, sizeof(t), sizeof(t) }
	switch (type) {
	case XVMC_AG_HELLO:
		return FIXED(0, struct xvmc_ag_hello);
	case XVMC_AG_REGISTER:
		return FIXED(XVMC_ROLE_APP, struct xvmc_ag_register);
	case XVMC_AG_UNREGISTER:
	case XVMC_AG_UNLINK:
	case XVMC_AG_PREPARED:
	case XVMC_AG_HOLD:
	case XVMC_AG_DROP:
		return FIXED(XVMC_ROLE_APP, struct xvmc_ag_word);
	case XVMC_AG_RELAY:
		return (struct form){ XVMC_ROLE_APP, body + sizeof(struct xvmc_setup_hdr),
				      body + XVMC_SETUP_MAX };
	case XVMC_AG_PAGES:
		return FIXED(XVMC_ROLE_APP, struct xvmc_ag_pages);
	case XVMC_AG_ROW:
		return FIXED(XVMC_ROLE_APP, struct xvmc_ag_row);
	case XVMC_AG_ADOPT:
		return FIXED(XVMC_ROLE_APP, struct xvmc_ag_adopt);
	case XVMC_AG_END:
		return FIXED(XVMC_ROLE_APP, struct xvmc_agent_hdr);
	case XVMC_AG_LIST:
	case XVMC_AG_DOMAINS:
	case XVMC_AG_STATS:
	case XVMC_AG_SHUTDOWN:
		return FIXED(XVMC_ROLE_TOOL, struct xvmc_agent_hdr);
	case XVMC_AG_MIGRATE:
	case XVMC_AG_CREATE:
	case XVMC_AG_DESTROY:
		return FIXED(XVMC_ROLE_TOOL, struct xvmc_ag_domop);
	case XVMC_AG_STEER:
		return FIXED(XVMC_ROLE_TOOL, struct xvmc_ag_steer);
	default:
		return (struct form){ 0, 1, 0 };
	}
#undef FIXED
}

/* A tool's operation on a domain; DESTROY names no host. */
static bool domop_ok(const struct xvmc_ag_domop *op)
{
	return xvmc_lh_name_ok(op->domain) &&
	       (op->hdr.type == XVMC_AG_DESTROY || xvmc_lh_name_ok(op->host)) &&
	       (op->hdr.type != XVMC_AG_MIGRATE ||
		(op->how <= XVMC_MIGRATE_CANCELLED && op->precopy_ms <= PRECOPY_MAX_MS));
}

int agent_check(const struct agent *agent, const void *msg, size_t len)
{
	const union msg *m = msg;
	struct form f;

	if (len < sizeof(m->hdr) || m->hdr.len != len)
		return -EPROTO;
	if (m->hdr.version != XVMC_AGENT_VERSION)
		return -EPROTO;
	f = form(m->hdr.type);
	if (len < f.min || len > f.max || f.role != agent->role)
		return -EPROTO;
	switch (m->hdr.type) {
	case XVMC_AG_UNREGISTER:
	case XVMC_AG_UNLINK:
		return m->word.reason < XVMC_R_COUNT ? 0 : -EPROTO;
	case XVMC_AG_MIGRATE:
	case XVMC_AG_CREATE:
	case XVMC_AG_DESTROY:
		return domop_ok(&m->domop) ? 0 : -EPROTO;
	case XVMC_AG_STEER:
		return m->steer.to <= XVMC_PATH_RING ? 0 : -EPROTO;
	default:
		return 0;
	}
}

static void shut_down(struct agent *tool, uint32_t serial)
{
	log_line("pid %d asks for the end", (int)tool->conn.pid);
	agent_send_hdr(tool, XVMC_AG_END, 0, serial);
	tool->conn.d->shutdown = true;
}

static int handle_tool(struct agent *agent, const union msg *m)
{
	uint32_t serial = m->hdr.serial;
	bool domop = m->hdr.type == XVMC_AG_MIGRATE || m->hdr.type == XVMC_AG_CREATE ||
		     m->hdr.type == XVMC_AG_DESTROY;

	/* That is for the toolstack in dom0. */
	if (domop && agent->conn.d->xen) {
		agent_send_hdr(agent, XVMC_AG_END, -EOPNOTSUPP, serial);
		return 0;
	}
	switch (m->hdr.type) {
	case XVMC_AG_LIST:
		tools_list(agent, serial);
		break;
	case XVMC_AG_DOMAINS:
		tools_domains(agent, serial);
		break;
	case XVMC_AG_STATS:
		tools_stats(agent, serial);
		break;
	case XVMC_AG_MIGRATE:
		migrate_start(agent, &m->domop);
		break;
	case XVMC_AG_CREATE:
		tools_create(agent, &m->domop);
		break;
	case XVMC_AG_DESTROY:
		tools_destroy(agent, &m->domop);
		break;
	case XVMC_AG_STEER:
		tools_steer(agent, &m->steer);
		break;
	case XVMC_AG_SHUTDOWN:
		shut_down(agent, serial);
		break;
	}
	return 0;
}

/* A channel that cannot be held must not be used: that process has to do
 * without us. */
static int hold(struct agent *agent, const struct xvmc_ag_word *msg, int fd)
{
	if (!agent->conn.d->xen || (msg->hdr.type == XVMC_AG_HOLD) != (fd >= 0))
		return -EPROTO;
	return xen_hold(agent, (uint32_t)msg->link, fd);
}

static int handle(struct agent *agent, const union msg *m, int *fds,
		  unsigned int nfds)
{
	if (agent->conn.d->xen && agent->role == XVMC_ROLE_APP) {
		int rc = route_message(agent, &m->hdr);

		if (rc != 0)
			return rc < 0 ? rc : 0;
	}
	switch (m->hdr.type) {
	case XVMC_AG_HELLO:
		return hello(agent, &m->hello, fds, nfds);
	case XVMC_AG_REGISTER:
		return match_register(agent, &m->reg);
	case XVMC_AG_UNREGISTER:
		match_unregister(agent, &m->word);
		break;
	case XVMC_AG_RELAY:
		match_relay(agent, &m->relay);
		break;
	case XVMC_AG_UNLINK:
		match_unlink(agent, &m->word);
		break;
	case XVMC_AG_ADOPT:
		match_adopt(agent, &m->adopt);
		break;
	case XVMC_AG_HOLD:
	case XVMC_AG_DROP:
		return hold(agent, &m->word, nfds > 0 ? fds[0] : -1);
	case XVMC_AG_PREPARED:
		migrate_prepared(agent, m->word.epid, m->hdr.status);
		break;
	case XVMC_AG_PAGES:
		pages_asked(agent, &m->pages);
		break;
	case XVMC_AG_ROW:
		tools_row(agent, &m->row);
		break;
	case XVMC_AG_END:
		tools_row_end(agent, m->hdr.serial);
		break;
	default:
		return handle_tool(agent, m);
	}
	return 0;
}

static void message(struct conn *conn, const void *msg, size_t len, int *fds,
		    unsigned int nfds)
{
	struct agent *agent = agent_of(conn);
	const union msg *m = msg;
	int rc;

	rc = agent_check(agent, m, len);
	if (rc == 0)
		rc = handle(agent, m, fds, nfds);
	if (rc < 0) {
		log_line("pid %d: refused: %s", (int)conn->pid, strerror(-rc));
		agent_send_hdr(agent, XVMC_AG_END, rc, 0);
		conn_finish(conn);
	}
}

void agent_detach(struct agent *agent)
{
	migrate_forget_agent(agent);
	tools_forget_agent(agent);
	if (agent->conn.d->xen) {
		route_forget(agent);
		xen_forget(agent);
	}
	match_forget(agent, XVMC_R_PEER_DIED);
	if (agent->dom) {
		stats_keep(agent);
		xvmc_lh_dom_unuse(agent->conn.d->lh, agent->dom);
	}
	agent->dom = NULL;
	agent->role = 0;
}

static void ended(struct conn *conn)
{
	struct agent *agent = agent_of(conn);
	struct xvmcd *d = conn->d;

	agent_detach(agent);
	if (agent->stats_fd >= 0)
		close(agent->stats_fd);
	conn_done(conn);
	d->nconns--;
	free(agent);
}

static const struct conn_ops agent_ops = { .message = message, .ended = ended };

int agent_accept(struct xvmcd *d, int sock)
{
	struct agent *agent = calloc(1, sizeof(*agent));
	int rc;

	if (!agent) {
		close(sock);
		return -ENOMEM;
	}
	agent->stats_fd = -1;
	agent->number = ++d->last_number;
	xvmc_list_init(&agent->regs);
	xvmc_list_init(&agent->adopts);
	xvmc_list_init(&agent->owed);
	rc = conn_init(&agent->conn, d, sock, &agent_ops);
	if (rc < 0) {
		free(agent);
		return rc;
	}
	xvmc_list_add(&d->agents, &agent->conn.node);
	d->nconns++;
	return 0;
}
