/* SPDX-License-Identifier: MIT */
/*
 * xvmc stat --prometheus: the counters in Prometheus' text exposition format.
 * One metric for each counter of stats.def; the reasons of reason.def are one
 * metric, with the reason as its label. Processes are told apart by labels.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/stats.h"
#include "stat.h"

/* What rises and falls is no counter. */
static bool is_gauge(unsigned int stat)
{
	return xvmc_stat_is_level(stat);
}

/* A label's value: text_name leaves printable words, without control bytes. */
static void print_label(const char *name, const char *value, bool first)
{
	printf("%s%s=\"", first ? "" : ",", name);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			putchar('\\');
		putchar(*value);
	}
	putchar('"');
}

/* {pid="1",process="nginx",domain="vm1",reason="fork"}, or nothing. */
static void print_labels(const struct xvmc_ag_stats *s, const char *reason)
{
	char pid[16];

	if (!s->pid && !reason)
		return;
	putchar('{');
	if (s->pid) {
		snprintf(pid, sizeof(pid), "%" PRIu32, s->pid);
		print_label("pid", pid, true);
		print_label("process", text_name(s->comm, sizeof(s->comm)), false);
		print_label("domain", text_name(s->domain, sizeof(s->domain)), false);
	}
	if (reason)
		print_label("reason", reason, !s->pid);
	putchar('}');
}

static void print_head(const char *name, const char *suffix, bool gauge, const char *text)
{
	printf("# HELP xvmc_%s%s %s\n# TYPE xvmc_%s%s %s\n", name, suffix, text, name,
	       suffix, gauge ? "gauge" : "counter");
}

void stat_print_prometheus(const struct xvmc_ag_stats *rows, size_t n)
{
	char buf[64];

	for (unsigned int i = 0; i < XVMC_S_REASON0; i++) {
		const char *key = xvmc_stat_key(i, buf);
		const char *suffix = is_gauge(i) ? "" : "_total";

		print_head(key, suffix, is_gauge(i), stat_text(i));
		for (size_t k = 0; k < n; k++) {
			printf("xvmc_%s%s", key, suffix);
			print_labels(&rows[k], NULL);
			printf(" %" PRIu64 "\n", rows[k].value[i]);
		}
	}
	print_head("reasons", "_total", false,
		   "switches to TCP, by reason");
	for (size_t k = 0; k < n; k++)
		for (unsigned int r = 0; r < XVMC_R_COUNT; r++) {
			printf("xvmc_reasons_total");
			print_labels(&rows[k], xvmc_reason_word(r));
			printf(" %" PRIu64 "\n", rows[k].value[XVMC_S_REASON0 + r]);
		}
}
