/* SPDX-License-Identifier: MIT */
/*
 * The result of a checked run: for people, or as one JSON object.
 */
#include "stream.h"

#include <inttypes.h>
#include <string.h>

struct totals {
	struct checker_counts counts;
	uint64_t overruns;
	struct hist gaps;
	struct hist trips;
	double seconds;
	bool right;
};

static void add_side(struct totals *t, const struct side *side)
{
	for (unsigned i = 0; i < side->n; i++) {
		checker_add(&t->counts, &side->rows[i].counts);
		t->overruns += side->rows[i].overruns;
	}
	hist_merge(&t->gaps, &side->gaps);
}

static void total(struct totals *t, const struct run *run, const struct side *here,
		  const struct side *there)
{
	add_side(t, here);
	add_side(t, there);
	for (unsigned i = 0; i < run->config.connections; i++)
		hist_merge(&t->trips, &run->conns[i].trips);
	t->seconds = (double)(run->end_ns - run->start_ns) / 1e9;
	t->right = side_right(here) && side_right(there);
}

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static void json_direction(const char *name, const struct row *from, const struct row *to)
{
	const struct checker_counts *c = &to->counts;

	printf("\"%s\":{\"sent\":%" PRIu64 ",\"verified\":%" PRIu64 ",\"lost\":%" PRIu64
	       ",\"duplicated\":%" PRIu64 ",\"reordered\":%" PRIu64 ",\"corrupted\":%" PRIu64
	       ",\"crossed\":%" PRIu64 ",\"truncated\":%" PRIu64 ",\"overruns\":%" PRIu64
	       ",\"max_gap_ms\":%.3f,\"write_errno\":%d,\"read_errno\":%d}",
	       name, from->sent, c->verified, c->lost, c->duplicated, c->reordered, c->corrupted,
	       c->crossed, c->truncated, to->overruns, ms(to->max_gap_ns), from->write_err,
	       to->read_err);
}

static void json_head(const struct run *run, bool ok, bool stalled)
{
	printf("{\"ok\":%s,\"stalled\":%s,\"seed\":%" PRIu64 ",\"mode\":\"%s\",\"connections\":%u,",
	       ok ? "true" : "false", stalled ? "true" : "false", run->config.seed,
	       mode_name(run->config.mode), run->config.connections);
}

static void json_counts(const struct totals *t)
{
	printf("\"bytes_verified\":%" PRIu64 ",\"bytes_lost\":%" PRIu64
	       ",\"bytes_duplicated\":%" PRIu64 ",\"bytes_reordered\":%" PRIu64
	       ",\"bytes_corrupted\":%" PRIu64 ",\"bytes_crossed\":%" PRIu64
	       ",\"bytes_truncated\":%" PRIu64 ",\"overruns\":%" PRIu64 ",",
	       t->counts.verified, t->counts.lost, t->counts.duplicated, t->counts.reordered,
	       t->counts.corrupted, t->counts.crossed, t->counts.truncated, t->overruns);
}

static void json_times(const struct totals *t)
{
	printf("\"seconds\":%.3f,\"gbps\":%.4f,\"reads\":%" PRIu64
	       ",\"gap_ms\":{\"p50\":%.4f,\"p99\":%.4f,\"max\":%.3f},"
	       "\"gaps_over_ms\":{\"1\":%" PRIu64 ",\"2\":%" PRIu64 ",\"10\":%" PRIu64
	       ",\"100\":%" PRIu64 "},",
	       t->seconds, (double)t->counts.verified * 8 / 1e9 / t->seconds, t->gaps.count,
	       ms(hist_quantile(&t->gaps, 0.5)), ms(hist_quantile(&t->gaps, 0.99)),
	       ms(t->gaps.max), hist_above(&t->gaps, 1000000), hist_above(&t->gaps, 2000000),
	       hist_above(&t->gaps, 10000000), hist_above(&t->gaps, 100000000));
	if (t->trips.count)
		printf("\"trips\":%" PRIu64 ",\"trip_us\":{\"p50\":%.2f,\"p99\":%.2f,\"max\":%.2f},",
		       t->trips.count, (double)hist_quantile(&t->trips, 0.5) / 1e3,
		       (double)hist_quantile(&t->trips, 0.99) / 1e3, (double)t->trips.max / 1e3);
}

static void report_json(const struct run *run, const struct totals *t, const struct side *here,
			const struct side *there)
{
	json_head(run, t->right, false);
	json_counts(t);
	json_times(t);
	printf("\"rows\":[");
	for (unsigned i = 0; i < here->n; i++) {
		const struct row *client = &here->rows[i];
		const struct row *server = &there->rows[i];

		printf("%s{\"connection\":%u,\"kind\":\"%s\",\"client\":\"%s\",\"server\":\"%s\",",
		       i ? "," : "", i, client->rr ? "rr" : "stream", client->style,
		       server->style);
		json_direction("to_server", client, server);
		printf(",");
		json_direction("to_client", server, client);
		printf("}");
	}
	printf("]}\n");
}

static void text_direction(unsigned i, const char *name, const struct row *from,
			   const struct row *to)
{
	const struct checker_counts *c = &to->counts;

	printf("%4u %-9s %-22s %-22s %14" PRIu64 " %10.1f  %s", i, name, from->style, to->style,
	       c->verified, ms(to->max_gap_ns), from->rr ? "rr " : "");
	if (from->write_err || to->read_err)
		printf("write: %s, read: %s ", strerror(from->write_err), strerror(to->read_err));
	if (to->overruns)
		printf("%" PRIu64 " reads wrote behind their buffer ", to->overruns);
	if (!checker_right(c))
		printf("lost %" PRIu64 " duplicated %" PRIu64 " reordered %" PRIu64
		       " corrupted %" PRIu64 " crossed %" PRIu64 " truncated %" PRIu64,
		       c->lost, c->duplicated, c->reordered, c->corrupted, c->crossed,
		       c->truncated);
	printf("\n");
}

static void report_text(const struct run *run, const struct totals *t, const struct side *here,
			const struct side *there)
{
	printf("%4s %-9s %-22s %-22s %14s %10s\n", "conn", "direction", "sender", "receiver",
	       "verified", "max gap ms");
	for (unsigned i = 0; i < here->n; i++) {
		text_direction(i, "to server", &here->rows[i], &there->rows[i]);
		text_direction(i, "to client", &there->rows[i], &here->rows[i]);
	}
	printf("%" PRIu64 " bytes verified in %.2f s (%.2f Gbit/s), lost %" PRIu64
	       ", duplicated %" PRIu64 ", reordered %" PRIu64 ", corrupted %" PRIu64 "\n",
	       t->counts.verified, t->seconds, (double)t->counts.verified * 8 / 1e9 / t->seconds,
	       t->counts.lost, t->counts.duplicated, t->counts.reordered, t->counts.corrupted);
	printf("gap before a read: p50 %.3f ms, p99 %.3f ms, max %.1f ms; seed %" PRIu64 "\n",
	       ms(hist_quantile(&t->gaps, 0.5)), ms(hist_quantile(&t->gaps, 0.99)),
	       ms(t->gaps.max), run->config.seed);
	printf("%s\n", t->right ? "all right" : "WRONG");
}

void report(const struct run *run, const struct side *here, const struct side *there, bool json)
{
	static struct totals t;

	total(&t, run, here, there);
	if (json)
		report_json(run, &t, here, there);
	else
		report_text(run, &t, here, there);
}

/* Threads may still run: only what may be read from outside. */
void report_unfinished(const struct run *run, bool json, bool stalled)
{
	if (!json) {
		printf("NOT FINISHED\n");
		return;
	}
	json_head(run, false, stalled);
	printf("\"rows\":[");
	for (unsigned i = 0; i < run->config.connections; i++)
		printf("%s{\"connection\":%u,\"written\":%" PRIu64 ",\"read\":%" PRIu64 "}",
		       i ? "," : "", i, (uint64_t)run->conns[i].tx.lane.pos,
		       (uint64_t)run->conns[i].rx.lane.pos);
	printf("]}\n");
}
