/* SPDX-License-Identifier: MIT */
/*
 * Runs cmocka tests each in a process of its own, with a time limit and a
 * look at what is left over: descriptors, and mappings of memfds and boards.
 * A failing test cannot spoil the next one.
 */
#ifndef XVMC_TEST_FRESH_H
#define XVMC_TEST_FRESH_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Runs tests[0..n-1] (those whose name contains the program's first
 * argument, if there is one). Returns the number that failed. */
int fresh_run(const char *group, const struct CMUnitTest *tests, size_t n,
	      int argc, char **argv);

/* How many descriptors this process (pid 0) or another has open, and how
 * many shared mappings of xvmc's. */
int fresh_count_fds(int pid);
int fresh_count_maps(void);

/* Waits, up to 5 s, until process pid has n descriptors. */
void fresh_wait_fds(int pid, int n);

/* Remembers both, and fails unless they are the same again. */
struct fresh_marks {
	int fds, maps;
};
struct fresh_marks fresh_mark(void);
void fresh_check(struct fresh_marks before);

/* Whether a sanitizer or valgrind needs memory and descriptors of its own:
 * limits on those cannot be tested. */
bool fresh_watched(void);

/* The seed of this run: $XVMC_SEED or a new one; printed when first asked. */
uint64_t fresh_seed(void);

/* A number from 0 to n - 1. */
uint32_t fresh_random(uint64_t *state, uint32_t n);

#endif
