/* SPDX-License-Identifier: MIT */
/*
 * The word of a connection: the owner's pid in the high half, below it the
 * spoilt bit and the number of holders. All that is decided is decided by one
 * compare-and-swap. tests/unit/test-hold.c walks through it in several
 * processes.
 */
#include "hold.h"

#include <linux/futex.h>

#include "base/os.h"

#define OWNER_SHIFT 32
#define SPOILT 0x80000000u
#define COUNT 0x7fffffffu

/* Where a futex of 32 bits finds the owner. Not private: all processes wait. */
static uint32_t *owner_half(struct hold *h)
{
	return (uint32_t *)&h->word + (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
}

void hold_init(struct hold *h, pid_t owner)
{
	atomic_store(&h->word, (uint64_t)(uint32_t)owner << OWNER_SHIFT | 1);
	atomic_store(&h->opens, 1);
}

void hold_take(struct hold *h)
{
	uint64_t old = atomic_load(&h->word), new;

	do {
		/* So many that did not give it back: it stays so. */
		new = (old & COUNT) == COUNT ? old | SPOILT : old + 1;
	} while (!atomic_compare_exchange_weak(&h->word, &old, new));
}

void hold_give(struct hold *h, const struct hold_sums *sums)
{
	uint64_t old = atomic_load(&h->word);

	for (unsigned int i = 0; i < HOLD_SUMS; i++)
		atomic_fetch_add_explicit(&h->given[i], sums->of[i], memory_order_relaxed);
	/* The sums first: pairs with hold_claim, which sees the count. */
	while ((old & COUNT) && !atomic_compare_exchange_weak(&h->word, &old, old - 1))
		;
}

bool hold_claim(struct hold *h, pid_t pid, struct hold_sums *ret_sums)
{
	uint64_t alone = 1;

	if (!atomic_compare_exchange_strong(
		    &h->word, &alone, (uint64_t)(uint32_t)pid << OWNER_SHIFT | 1))
		return false;
	/* After the count: pairs with hold_give. */
	for (unsigned int i = 0; i < HOLD_SUMS; i++)
		ret_sums->of[i] =
			atomic_exchange_explicit(&h->given[i], 0, memory_order_relaxed);
	return true;
}

void hold_release(struct hold *h)
{
	/* Pairs with hold_await: it looks again in the kernel, or is woken. */
	atomic_fetch_and(&h->word, (UINT64_C(1) << OWNER_SHIFT) - 1);
	OS3(SYS_futex, owner_half(h), FUTEX_WAKE, INT32_MAX);
}

bool hold_wanted(const struct hold *h)
{
	return (atomic_load(&h->word) & COUNT) > 1;
}

bool hold_await(struct hold *h, pid_t owner, uint64_t ns)
{
	uint64_t end = os_now_ns() + ns, now;

	while (hold_owner(h) == owner && (now = os_now_ns()) < end) {
		struct timespec ts = { .tv_sec = (time_t)((end - now) / 1000000000u),
				       .tv_nsec = (long)((end - now) % 1000000000u) };

		OS4(SYS_futex, owner_half(h), FUTEX_WAIT, (uint32_t)owner, &ts);
	}
	return hold_owner(h) != owner;
}

void hold_spoil(struct hold *h)
{
	atomic_fetch_or(&h->word, SPOILT);
}

pid_t hold_owner(const struct hold *h)
{
	return (pid_t)(atomic_load(&h->word) >> OWNER_SHIFT);
}

void hold_open(struct hold *h)
{
	atomic_fetch_add(&h->opens, 1);
}

void hold_closed(struct hold *h)
{
	atomic_fetch_sub(&h->opens, 1);
}

bool hold_sole(const struct hold *h)
{
	return atomic_load(&h->opens) == 1;
}

bool hold_alone(const struct hold *h)
{
	return atomic_load_explicit(&h->word, memory_order_relaxed) == 1;
}
