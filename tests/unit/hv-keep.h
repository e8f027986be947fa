/* SPDX-License-Identifier: MIT */
/*
 * Of the hypervisor port's contract (test-hv.c): what is given back while others in
 * the process may be looking at it, or sleeping on it.
 */
#ifndef XVMC_TEST_HV_KEEP_H
#define XVMC_TEST_HV_KEEP_H

void test_keep_map(void **state);
void test_keep_share(void **state);
void test_keep_unseen(void **state);
void test_hush(void **state);

#endif
