/* SPDX-License-Identifier: MIT */
/*
 * What --trap has to say: a line when a call past the library is seen for the
 * first time at a place, and at the end how often each was.
 */
#include "trap.h"

#include <inttypes.h>
#include <string.h>

#define SITES 256

static struct site {
	char module[64], comm[17];
	uint64_t offset;
	const struct trap_call *call;
	unsigned long count;
} sites[SITES];
static unsigned int nsites;
static unsigned long more, blind, told;

static struct site *site_of(const struct trap_call *call, const struct trap_where *w)
{
	struct site *s;

	for (s = sites; s < sites + nsites; s++)
		if (s->call == call && s->offset == w->offset &&
		    !strcmp(s->module, w->module))
			return s;
	if (nsites == SITES)
		return NULL;
	*s = (struct site){ .offset = w->offset, .call = call };
	memcpy(s->module, w->module, sizeof(s->module));
	memcpy(s->comm, w->comm, sizeof(s->comm));
	nsites++;
	return s;
}

void trap_report(FILE *out, const struct trap_call *call, const struct trap_where *w)
{
	struct site *s = site_of(call, w);
	char fd[16] = "";

	if (!s) {
		more++;
		return;
	}
	if (s->count++)
		return;
	if (w->fd >= 0)
		snprintf(fd, sizeof(fd), "%d", w->fd);
	fprintf(out, "xvmc-run: trap: %s[%d] %s(%s) past the library, at %s+0x%" PRIx64 "%s%s\n",
		w->comm, (int)w->pid, call->name, fd, w->module, w->offset,
		*w->conn ? ": " : "", w->conn);
	fflush(out);
}

void trap_report_blind(void)
{
	blind++;
}

void trap_report_counts(FILE *out)
{
	unsigned long sum = more + blind;

	for (unsigned int i = 0; i < nsites; i++)
		sum += sites[i].count;
	if (sum == told)
		return;
	told = sum;
	for (unsigned int i = 0; i < nsites; i++)
		fprintf(out, "xvmc-run: trap: %8lu %s at %s+0x%" PRIx64 " of %s\n",
			sites[i].count, sites[i].call->name, sites[i].module,
			sites[i].offset, sites[i].comm);
	if (more)
		fprintf(out, "xvmc-run: trap: %8lu at other places\n", more);
	if (blind)
		fprintf(out, "xvmc-run: trap: %8lu calls could not be looked at\n", blind);
	fflush(out);
}
