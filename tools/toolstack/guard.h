/* SPDX-License-Identifier: MIT */
/*
 * Somebody who does a thing for this process if it is killed before it can: a
 * child of it that waits for its end, in a session of its own, with none of
 * its descriptors.
 *
 * Threads: guard_start while there is one. fork: a child's children are not
 * watched. migration: this is dom0.
 */
#ifndef XVMC_TOOLSTACK_GUARD_H
#define XVMC_TOOLSTACK_GUARD_H

#include <sys/types.h>

struct guard {
	int fd; /* closed by our end, however it comes */
	pid_t pid;
};

/* fn runs in the child, on its copy of this process's memory. */
int guard_start(struct guard *ret_guard, void (*fn)(void *arg), void *arg);

/* It need not be done any more. */
void guard_stop(struct guard *guard);

#endif
