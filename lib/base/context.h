/* SPDX-License-Identifier: MIT */
/*
 * Where a signal has interrupted its thread, as the handler's third argument
 * tells it.
 */
#ifndef XVMC_CONTEXT_H
#define XVMC_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * context: of a signal handler that is about to return. If the thread would go on
 * by making one of the ncalls system calls, or by making it again, as SA_RESTART
 * has it: that call then fails with EINTR instead. True: so it is, or the thread
 * has just made a system call. False: it is elsewhere, perhaps about to.
 */
bool xvmc_context_interrupt(void *context, const long *calls, size_t ncalls);

#endif
