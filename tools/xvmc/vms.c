/* SPDX-License-Identifier: MIT */
/*
 * xvmc vms: VMs[] as xvmcd knows it [S 2]: which domains there are, on which
 * host, under which addresses, and how much they hold.
 */
#include <stdio.h>
#include <stdlib.h>

#include <xvmc/agent.h>

#include "xvmc.h"

struct doms {
	struct xvmc_ag_dom dom[XVMC_BOARD_DOMS];
	size_t n;
};

static int collect(const union client_msg *msg, void *arg)
{
	struct doms *doms = arg;

	if (doms->n < XVMC_BOARD_DOMS)
		doms->dom[doms->n++] = msg->dom;
	return 0;
}

static uint32_t addr_count(const struct xvmc_ag_dom *d)
{
	return d->naddrs < XVMC_ADDRS_MAX ? d->naddrs : XVMC_ADDRS_MAX;
}

static void print_text(const struct doms *doms)
{
	static const char *const head[] = { "DOMAIN", "HOST", "DOMID",
					    "INCARNATION", "PROCESSES",
					    "CONNECTIONS", "ADDRESSES" };
	struct table *t = table_new(head, "llrrrrl");

	for (size_t i = 0; i < doms->n; i++) {
		const struct xvmc_ag_dom *d = &doms->dom[i];
		char addrs[XVMC_ADDRS_MAX * 48] = "-";
		size_t at = 0;

		for (uint32_t k = 0; k < addr_count(d); k++)
			at += (size_t)snprintf(addrs + at, sizeof(addrs) - at,
					       "%s%s", k ? " " : "",
					       text_addr(&d->addr[k], 0));
		table_put(t, "%s", text_name(d->name, sizeof(d->name)));
		table_put(t, "%s", text_name(d->host, sizeof(d->host)));
		table_put(t, "%u", d->domid);
		table_put(t, "%u", d->incarnation);
		table_put(t, "%u", d->nprocs);
		table_put(t, "%u", d->nlinks);
		table_put(t, "%s", addrs);
	}
	table_print(t, true);
	table_free(t);
}

static void print_json(const char *prog, const struct doms *doms)
{
	cJSON *a = cJSON_CreateArray();

	for (size_t i = 0; i < doms->n; i++) {
		const struct xvmc_ag_dom *d = &doms->dom[i];
		cJSON *o = cJSON_CreateObject(), *addrs;

		json_name(o, "domain", d->name, sizeof(d->name));
		json_name(o, "host", d->host, sizeof(d->host));
		json_u64(o, "domid", d->domid);
		json_u64(o, "incarnation", d->incarnation);
		json_u64(o, "processes", d->nprocs);
		json_u64(o, "connections", d->nlinks);
		addrs = cJSON_AddArrayToObject(o, "addresses");
		for (uint32_t k = 0; k < addr_count(d); k++)
			cJSON_AddItemToArray(addrs, cJSON_CreateString(
					text_addr(&d->addr[k], 0)));
		cJSON_AddItemToArray(a, o);
	}
	json_print(prog, a, false);
}

int cmd_vms(int argc, char **argv)
{
	struct common c = { 0 };
	const struct cli_opt opts[] = { COMMON_OPTS(&c), { 0 } };
	const struct cli cli = {
		"xvmc vms", "",
		"Lists the domains xvmcd knows, the host each runs on, and their addresses.\n"
		"Connections between domains of the same host can travel by ring.",
		opts, 0, 0, false,
	};
	static struct doms doms;
	char *args[argc + 1];
	int fd;

	cli_parse(&cli, argc, argv, args);
	fd = agent_open(cli.prog, &c);
	agent_must(cli.prog, client_ask(fd, XVMC_AG_DOMAINS, NULL, 0,
					CLIENT_TIMEOUT_MS, XVMC_AG_DOM, collect,
					&doms));
	client_close(fd);
	if (c.json)
		print_json(cli.prog, &doms);
	else
		print_text(&doms);
	return 0;
}
