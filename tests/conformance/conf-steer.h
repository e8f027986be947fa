/* SPDX-License-Identifier: MIT */
/*
 * A program that moves its own connection to rings and back, where there is a
 * library. Plain TCP has nothing to steer; and while others move all connections
 * all the time, what was asked for need not come.
 */
#ifndef CONF_STEER_H
#define CONF_STEER_H

#include "conf-say.h"

/* What xvmc_promote, or xvmc_demote, says; 0 where there is none. */
CONF_UNUSED static int conf_steer(int fd, bool ring)
{
	int (*to)(int) = NULL;

	*(void **)&to = dlsym(RTLD_DEFAULT, ring ? "xvmc_promote" : "xvmc_demote");
	return to ? to(fd) : 0;
}

/* Also true where nobody can tell by what it sends. */
CONF_UNUSED static bool conf_tx_on(int fd, uint32_t path)
{
	int (*get)(int, struct xvmc_fd_info *) = NULL;
	struct xvmc_fd_info info = { .size = sizeof(info) };

	*(void **)&get = dlsym(RTLD_DEFAULT, "xvmc_fd_info");
	return !get || get(fd, &info) < 0 || info.tx.path == path;
}

#endif
