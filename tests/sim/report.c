/* SPDX-License-Identifier: MIT */
/*
 * The last events of a run, kept in a form that costs nothing until somebody
 * wants to read them.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "sim.h"

static void print_event(FILE *to, const struct sim_event *ev)
{
	fprintf(to, "%6" PRIu64 " %9.3f ms  ", ev->step, (double)ev->now / 1e6);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	fprintf(to, ev->fmt, ev->arg[0], ev->arg[1], ev->arg[2], ev->arg[3],
		ev->arg[4]);
#pragma GCC diagnostic pop
	fputc('\n', to);
}

void sim_trace(struct sim *s, const char *fmt, long a, long b, long c, long d, long e)
{
	struct sim_event *ev = &s->trace[s->ntrace++ % SIM_TRACE];

	*ev = (struct sim_event){ s->step, s->now, fmt, { a, b, c, d, e } };
	if (s->tracing)
		print_event(stdout, ev);
}

static void print_end(const struct sim_end *e)
{
	const struct conn_tx *tx = &e->c.tx;
	const struct conn_rx *rx = &e->c.rx;

	fprintf(stderr,
		"end %u of connection %u: %s%s tx %s sent %" PRIu64
		"%s%s rx %s rcvd %" PRIu64 "%s%s%s expect %" PRId64
		" skip %" PRIu64 " pull %" PRIu64 " in %zu err %d/%d, application "
		"wrote %" PRIu64 " of %" PRIu64 " read %" PRIu64
		" sleeps %d/%d done %d/%d\n",
		e->guest, e->number, e->killed ? "killed " : "",
		e->closed ? "closed" : "open", tx->path ? "RING" : "TCP",
		(uint64_t)tx->sent, tx->attached ? " attached" : "",
		xvmc_conn_tx_pending(&e->c) ? " pending" : "",
		rx->path ? "RING" : "TCP", (uint64_t)rx->rcvd,
		rx->attached ? " attached" : "", rx->gone ? " gone" : "",
		rx->eof ? " eof" : "", (int64_t)rx->expect, rx->skip, rx->pull,
		rx->in.len, tx->err, rx->err, e->app.sent, e->app.total,
		e->app.rcvd, e->app.wr, e->app.rd, e->app.wr_done, e->app.rd_done);
}

void sim_fail(struct sim *s, const char *fmt, ...)
{
	uint64_t i = s->ntrace > SIM_TRACE ? s->ntrace - SIM_TRACE : 0;
	va_list ap;

	fflush(stdout);
	for (; !s->tracing && i < s->ntrace; i++)
		print_event(stderr, &s->trace[i % SIM_TRACE]);
	for (unsigned int k = 0; k < SIM_ENDS(s); k++)
		print_end(sim_end(s, k));
	fprintf(stderr, "sim: seed %" PRIu64, s->seed);
	if (s->plan.fail_at)
		fprintf(stderr, " --fail-at %" PRIu64, s->plan.fail_at);
	fprintf(stderr, ", step %" PRIu64 ": ", s->step);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	_exit(1);
}
