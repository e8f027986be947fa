/* SPDX-License-Identifier: MIT */
/*
 * Included before everything else where lib/ is compiled for the simulation:
 * each access to a word that both guests see (lib/xfer/ring.h) becomes a
 * point at which something else may happen first, and after a store also next:
 * the other guest's step, a migration, a kill. So two processes are interleaved
 * access by access, in one thread, from a seed. Orders weaker than program
 * order are not played.
 */
#ifndef SIM_ATOMIC_H
#define SIM_ATOMIC_H

#include <stdatomic.h>
#include <stdint.h>

void sim_word(void);

#undef atomic_load_explicit
#define atomic_load_explicit(p, order) (sim_word(), *(p))

#undef atomic_store_explicit
#define atomic_store_explicit(p, val, order) \
	(sim_word(), (void)(*(p) = (val)), sim_word())

#undef atomic_compare_exchange_strong_explicit
#define atomic_compare_exchange_strong_explicit(p, want, to, order, fail)   \
	(sim_word(), __atomic_compare_exchange_n((uint64_t *)(p), (want), (to), \
						 0, __ATOMIC_SEQ_CST,          \
						 __ATOMIC_SEQ_CST))

#endif
