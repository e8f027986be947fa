/* SPDX-License-Identifier: MIT */
/*
 * xvmc ss: every end of every connection, as the process that holds it
 * reports it. Both ends of a connection are two rows with the same link.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xvmc/agent.h>

#include "base/reason.h"
#include "xvmc.h"

struct filter {
	const char *domain;
	uint32_t pid;
	uint32_t port;
};

struct rows {
	const struct filter *filter;
	struct xvmc_ag_row *row;
	size_t n, room;
};

static bool wanted(const struct filter *f, const struct xvmc_ag_row *r)
{
	if (f->domain && strncmp(f->domain, r->domain, sizeof(r->domain)))
		return false;
	if (f->pid && f->pid != r->pid)
		return false;
	return !f->port || f->port == r->local.port || f->port == r->remote.port;
}

static int collect(const union client_msg *msg, void *arg)
{
	struct rows *rows = arg;

	if (!wanted(rows->filter, &msg->row))
		return 0;
	if (rows->n == rows->room) {
		size_t room = rows->room ? rows->room * 2 : 64;
		void *p = reallocarray(rows->row, room, sizeof(*rows->row));

		if (!p)
			return -ENOMEM;
		rows->row = p;
		rows->room = room;
	}
	rows->row[rows->n++] = msg->row;
	return 0;
}

static int by_place(const void *va, const void *vb)
{
	const struct xvmc_ag_row *a = va, *b = vb;
	int rc = strncmp(a->domain, b->domain, sizeof(a->domain));

	if (rc)
		return rc;
	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	return a->epid < b->epid ? -1 : a->epid > b->epid;
}

/* Of a ring: a power of two. */
static const char *text_size(uint32_t bytes)
{
	return bytes ? text_bytes(bytes, false) : "-";
}

static void put_row(struct table *t, const struct xvmc_ag_row *r, bool exact)
{
	table_put(t, "%s", text_name(r->domain, sizeof(r->domain)));
	table_put(t, "%s(%u)", text_name(r->comm, sizeof(r->comm)), r->pid);
	table_put(t, "%u", r->epid);
	table_put(t, "%s", text_addr(&r->local.ip, r->local.port));
	table_put(t, "%s", text_addr(&r->remote.ip, r->remote.port));
	table_put(t, "%s", text_path(r->tx_path));
	table_put(t, "%s", xvmc_reason_word(r->tx_reason));
	table_put(t, "%s", text_path(r->rx_path));
	table_put(t, "%s", xvmc_reason_word(r->rx_reason));
	table_put(t, "%s", text_bytes(r->ring_tx, exact));
	table_put(t, "%s", text_bytes(r->ring_rx, exact));
	table_put(t, "%s", text_bytes(r->tcp_tx, exact));
	table_put(t, "%s", text_bytes(r->tcp_rx, exact));
	table_put(t, "%u", r->switches);
	table_put(t, "%s", text_size(r->tx_size));
	table_put(t, "%s", text_size(r->rx_size));
}

static void print_text(const struct rows *rows, bool exact, bool heads)
{
	static const char *const head[] = {
		"DOMAIN", "PROCESS", "ID",      "LOCAL",   "PEER",
		"TX",     "WHY",     "RX",      "WHY",     "RING-TX",
		"RING-RX", "TCP-TX", "TCP-RX",  "SWITCHES",
		"TX-SIZE", "RX-SIZE",
	};
	struct table *t = table_new(head, "llrllllllrrrrrrr");

	for (size_t i = 0; i < rows->n; i++)
		put_row(t, &rows->row[i], exact);
	table_print(t, heads);
	table_free(t);
}

static void add_direction(cJSON *o, const char *name, uint8_t path,
			  uint8_t reason, uint64_t ring, uint64_t tcp, uint32_t size)
{
	cJSON *d = cJSON_AddObjectToObject(o, name);

	cJSON_AddStringToObject(d, "path", text_path(path));
	cJSON_AddStringToObject(d, "reason", xvmc_reason_word(reason));
	cJSON_AddStringToObject(d, "text", xvmc_reason_text(reason));
	json_u64(d, "ring_bytes", ring);
	json_u64(d, "tcp_bytes", tcp);
	json_u64(d, "ring_size", size);
}

static cJSON *row_json(const struct xvmc_ag_row *r)
{
	cJSON *o = cJSON_CreateObject();

	json_name(o, "domain", r->domain, sizeof(r->domain));
	json_name(o, "host", r->host, sizeof(r->host));
	json_name(o, "process", r->comm, sizeof(r->comm));
	json_u64(o, "pid", r->pid);
	json_u64(o, "id", r->epid);
	cJSON_AddNumberToObject(o, "fd", r->fd);
	json_u64(o, "link", r->link);
	cJSON_AddStringToObject(o, "local", text_addr(&r->local.ip, r->local.port));
	cJSON_AddStringToObject(o, "peer", text_addr(&r->remote.ip, r->remote.port));
	if (r->peer_domid != UINT32_MAX)
		json_u64(o, "peer_domid", r->peer_domid);
	add_direction(o, "tx", r->tx_path, r->tx_reason, r->ring_tx, r->tcp_tx,
		      r->tx_size);
	add_direction(o, "rx", r->rx_path, r->rx_reason, r->ring_rx, r->tcp_rx,
		      r->rx_size);
	json_u64(o, "switches", r->switches);
	return o;
}

static void print_json(const char *prog, const struct rows *rows)
{
	cJSON *a = cJSON_CreateArray();

	for (size_t i = 0; i < rows->n; i++)
		cJSON_AddItemToArray(a, row_json(&rows->row[i]));
	json_print(prog, a, false);
}

int cmd_ss(int argc, char **argv)
{
	struct common c = { 0 };
	struct filter f = { 0 };
	bool numeric = false, no_head = false, exact = false;
	const struct cli_opt opts[] = {
		{ "domain", 0, CLI_NAME, "D", "only ends in domain D", &f.domain, 0, 0 },
		{ "pid", 'p', CLI_U32, "PID", "only ends in this process", &f.pid, 1, INT32_MAX },
		{ "port", 0, CLI_U32, "PORT", "only where either port is PORT", &f.port, 1, 65535 },
		{ "bytes", 'b', CLI_FLAG, NULL, "exact byte counts", &exact, 0, 0 },
		{ "no-header", 'H', CLI_FLAG, NULL, "leave out the header", &no_head, 0, 0 },
		{ "numeric", 'n', CLI_FLAG, NULL, "as with ss: addresses are always numbers", &numeric, 0, 0 },
		COMMON_OPTS(&c),
		{ 0 },
	};
	const struct cli cli = {
		"xvmc ss", "",
		"Lists the ends of connections that could travel by ring: for each direction\n"
		"whether it does, and why. A connection between two accelerated programs shows\n"
		"up twice, once at each end.",
		opts, 0, 0, false,
	};
	struct rows rows = { .filter = &f };
	char *args[argc + 1];
	int fd;

	cli_parse(&cli, argc, argv, args);
	fd = agent_open(cli.prog, &c);
	agent_must(cli.prog, client_ask(fd, XVMC_AG_LIST, NULL, 0,
					CLIENT_TIMEOUT_MS, XVMC_AG_ROW, collect,
					&rows));
	client_close(fd);
	if (rows.n)
		qsort(rows.row, rows.n, sizeof(*rows.row), by_place);
	if (c.json)
		print_json(cli.prog, &rows);
	else
		print_text(&rows, exact, !no_head);
	free(rows.row);
	return 0;
}
