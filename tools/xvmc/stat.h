/* SPDX-License-Identifier: MIT */
/* What xvmc stat and its output formats share. */
#ifndef XVMC_TOOLS_STAT_H
#define XVMC_TOOLS_STAT_H

#include <xvmc/agent.h>

#include "xvmc.h"

/* What the counter (enum xvmc_stat) counts, in a few words. */
const char *stat_text(unsigned int stat);

/* Prints n rows of counters, each of a process, or the sum (pid 0). */
void stat_print_prometheus(const struct xvmc_ag_stats *rows, size_t n);

#endif
