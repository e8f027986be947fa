/* SPDX-License-Identifier: MIT */
/*
 * An xvmcd for the program that xvmc-run is about to start: the one that
 * runs, or a local one started here. However many xvmc-run do this at once,
 * one xvmcd comes of it.
 */
#ifndef XVMC_RUN_DAEMON_H
#define XVMC_RUN_DAEMON_H

#include <stddef.h>

/* 0: an xvmcd answers in dir. Else -errno and a sentence in ret_why. */
int daemon_ensure(const char *dir, char *ret_why, size_t why_size);

/*
 * Makes domain known to the xvmcd of dir, with the addresses of this network
 * namespace; on host, or on xvmcd's default host where that is NULL. A domain
 * that is on another host stays there: 0, and a sentence in ret_why (else
 * empty).
 */
int daemon_enter(const char *dir, const char *domain, const char *host,
		 char *ret_why, size_t why_size);

#endif
