/* SPDX-License-Identifier: MIT */
/*
 * xvmc-run --stats: the counters of the program and of all it started, as a
 * short table at its end. Each process hands over its page of counters when
 * the library wakes up in it; what it counts after that is seen here, however
 * it ends.
 */
#ifndef XVMC_RUN_STATS_H
#define XVMC_RUN_STATS_H

#include <stddef.h>
#include <sys/un.h>

struct xvmc_stats_page;

struct stats {
	int fd;
	char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* for XVMC_STATS */
	const struct xvmc_stats_page **page;
	size_t n;
};

/* Listens in dir. 0 or -errno. */
int stats_open(const char *dir, struct stats *ret_stats);
/* Takes what has come; arg: a struct stats. */
void stats_take(void *arg);
/* The table, on standard error, and the end of it. */
void stats_close(struct stats *stats, const char *program);

#endif
