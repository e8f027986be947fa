/* SPDX-License-Identifier: MIT */
/*
 * xvmc stat: the counters of stats.def and reason.def, summed over all
 * processes, those that have ended included, or one process at a time.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/stats.h"
#include "stat.h"

/* In counters, for the text output: what each counts. */
static const char *const texts[] = {
#define XVMC_STAT(name, key, text) text,
#include "base/stats.def"
#undef XVMC_STAT
};

struct procs {
	struct xvmc_ag_stats sum;
	bool have_sum;
	struct xvmc_ag_stats *proc;
	size_t n;
};

struct show {
	struct common c;
	bool per_process, all, prometheus;
	uint32_t watch;
};

static int collect(const union client_msg *msg, void *arg)
{
	struct procs *p = arg;
	void *more;

	if (msg->stats.pid == 0) {
		p->sum = msg->stats;
		p->have_sum = true;
		return 0;
	}
	more = reallocarray(p->proc, p->n + 1, sizeof(*p->proc));
	if (!more)
		return -ENOMEM;
	p->proc = more;
	p->proc[p->n++] = msg->stats;
	return 0;
}

static void ask_all(const char *prog, int fd, struct procs *ret_procs)
{

	memset(ret_procs, 0, sizeof(*ret_procs));
	agent_must(prog, client_ask(fd, XVMC_AG_STATS, NULL, 0,
				    CLIENT_TIMEOUT_MS, XVMC_AG_STATS_ROW,
				    collect, ret_procs));
	if (!ret_procs->have_sum)
		for (size_t i = 0; i < ret_procs->n; i++)
			for (size_t k = 0; k < XVMC_STATS_MAX; k++)
				ret_procs->sum.value[k] +=
					ret_procs->proc[i].value[k];
}

const char *stat_text(unsigned int stat)
{
	return stat < XVMC_S_REASON0 ? texts[stat] :
				       xvmc_reason_text(stat - XVMC_S_REASON0);
}

static void add_counters(cJSON *o, const struct xvmc_ag_stats *s)
{
	char buf[64];

	for (unsigned int i = 0; i < XVMC_S_COUNT; i++)
		json_u64(o, xvmc_stat_key(i, buf), s->value[i]);
}

static void print_json(const char *prog, const struct procs *p,
		       const struct show *show)
{
	cJSON *top, *o;

	if (!show->per_process) {
		top = cJSON_CreateObject();
		add_counters(top, &p->sum);
		json_print(prog, top, show->watch);
		return;
	}
	top = cJSON_CreateArray();
	for (size_t i = 0; i < p->n; i++) {
		const struct xvmc_ag_stats *s = &p->proc[i];

		o = cJSON_CreateObject();
		json_u64(o, "pid", s->pid);
		json_name(o, "process", s->comm, sizeof(s->comm));
		json_name(o, "domain", s->domain, sizeof(s->domain));
		add_counters(o, s);
		cJSON_AddItemToArray(top, o);
	}
	json_print(prog, top, show->watch);
}

static void print_counters(const struct xvmc_ag_stats *s,
			   const struct xvmc_ag_stats *before, bool all)
{
	static const char *const head[] = { "COUNTER", "VALUE", "CHANGE", "MEANING" };
	static const char *const head_once[] = { "COUNTER", "VALUE", "MEANING" };
	struct table *t = table_new(before ? head : head_once,
				    before ? "lrrl" : "lrl");
	char buf[64];

	for (unsigned int i = 0; i < XVMC_S_COUNT; i++) {
		if (!all && !s->value[i])
			continue;
		table_put(t, "%s", xvmc_stat_key(i, buf));
		table_put(t, "%" PRIu64, s->value[i]);
		if (before) /* a gauge such as rings may fall */
			table_put(t, "%+" PRId64,
				  (int64_t)(s->value[i] - before->value[i]));
		table_put(t, "%s", stat_text(i));
	}
	table_print(t, true);
	table_free(t);
}

static const struct xvmc_ag_stats *find(const struct procs *p, uint32_t pid)
{
	for (size_t i = 0; p && i < p->n; i++)
		if (p->proc[i].pid == pid)
			return &p->proc[i];
	return NULL;
}

static void print_text(const struct procs *p, const struct procs *before,
		       const struct show *show)
{
	if (!show->per_process) {
		print_counters(&p->sum, before ? &before->sum : NULL, show->all);
		return;
	}
	for (size_t i = 0; i < p->n; i++) {
		const struct xvmc_ag_stats *s = &p->proc[i];

		printf("%s%s(%u) in %s\n", i ? "\n" : "",
		       text_name(s->comm, sizeof(s->comm)), s->pid,
		       text_name(s->domain, sizeof(s->domain)));
		print_counters(s, find(before, s->pid), show->all);
	}
}

static void watch(const char *prog, int fd, const struct show *show)
{
	struct procs now, before;
	bool first = true;

	for (;;) {
		ask_all(prog, fd, &now);
		if (show->c.json)
			print_json(prog, &now, show);
		else if (show->prometheus && show->per_process)
			stat_print_prometheus(now.proc, now.n);
		else if (show->prometheus)
			stat_print_prometheus(&now.sum, 1);
		else
			print_text(&now, first ? NULL : &before, show);
		if (!show->watch)
			break;
		if (!show->c.json)
			putchar('\n');
		if (fflush(stdout) != 0)
			break;
		if (!first)
			free(before.proc);
		before = now;
		first = false;
		nanosleep(&(struct timespec){ .tv_sec = show->watch }, NULL);
	}
	free(now.proc);
	if (!first)
		free(before.proc);
}

int cmd_stat(int argc, char **argv)
{
	struct show show = { 0 };
	const struct cli_opt opts[] = {
		{ "per-process", 0, CLI_FLAG, NULL, "each living process by itself", &show.per_process, 0, 0 },
		{ "all", 'a', CLI_FLAG, NULL, "counters that are zero too (JSON has them always)", &show.all, 0, 0 },
		{ "watch", 'w', CLI_U32, "N", "again every N seconds, with the change", &show.watch, 1, 86400 },
		{ "prometheus", 0, CLI_FLAG, NULL, "print Prometheus' text format", &show.prometheus, 0, 0 },
		COMMON_OPTS(&show.c),
		{ 0 },
	};
	const struct cli cli = {
		"xvmc stat", "",
		"Prints what has been counted: bytes by ring and by TCP, switches and their\n"
		"reasons, sleeps, doorbells. The sum goes over all processes, ended ones included.",
		opts, 0, 0, false,
	};
	char *args[argc + 1];
	int fd;

	cli_parse(&cli, argc, argv, args);
	if (show.prometheus && (show.c.json || show.watch))
		cli_die(cli.prog, CLI_EXIT_USAGE,
			"--prometheus is once, and neither --json nor --watch");
	fd = agent_open(cli.prog, &show.c);
	watch(cli.prog, fd, &show);
	client_close(fd);
	return 0;
}
