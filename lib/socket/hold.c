/* SPDX-License-Identifier: MIT */
/*
 * The word of a connection: the owner's pid in the high half; below it the
 * spoilt bit, whether the owner owns the way out, too, and how many hold that
 * way, and how many the way in. All that is decided is decided by one
 * compare-and-swap. tests/unit/test-hold.c walks through it, and
 * test-hold-processes.c in several processes.
 */
#include "hold.h"

#include <linux/futex.h>

#include "base/os.h"

#define OWNER_SHIFT 32
#define SPOILT 0x80000000u
#define OWNS_TX 0x40000000u
#define TX_SHIFT 15
#define COUNT 0x7fffu

static uint32_t holders(uint64_t word, unsigned int dir)
{
	return (uint32_t)(dir == HOLD_TX ? word >> TX_SHIFT : word) & COUNT;
}

static uint64_t one(unsigned int dir)
{
	return dir == HOLD_TX ? UINT64_C(1) << TX_SHIFT : 1;
}

static uint64_t owned_by(pid_t pid)
{
	return (uint64_t)(uint32_t)pid << OWNER_SHIFT;
}

/* Where a futex of 32 bits finds the owner. Not private: all processes wait. */
static uint32_t *owner_half(struct hold *h)
{
	return (uint32_t *)&h->word + (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);
}

void hold_init(struct hold *h, pid_t owner)
{
	atomic_store(&h->word, owned_by(owner) | (owner ? OWNS_TX : 0) | one(HOLD_TX) |
				       one(HOLD_RX));
	atomic_store(&h->opens, 1);
}

void hold_take(struct hold *h, unsigned int dirs)
{
	uint64_t old = atomic_load(&h->word), new;

	do {
		new = old;
		for (unsigned int dir = HOLD_RX; dir <= HOLD_TX; dir <<= 1) {
			if (!(dirs & dir))
				continue;
			/* So many that did not give it back: it stays so. */
			if (holders(old, dir) == COUNT)
				new |= SPOILT;
			else
				new += one(dir);
		}
	} while (!atomic_compare_exchange_weak(&h->word, &old, new));
}

static bool is_of(unsigned int sum, unsigned int dirs)
{
	return dirs & (sum < HOLD_RCVD ? HOLD_TX : HOLD_RX);
}

void hold_give(struct hold *h, unsigned int dirs, const struct hold_sums *sums)
{
	uint64_t old = atomic_load(&h->word), new;

	for (unsigned int i = 0; i < HOLD_SUMS; i++)
		if (is_of(i, dirs))
			atomic_fetch_add_explicit(&h->given[i], sums->of[i],
						  memory_order_relaxed);
	/* The sums first: pairs with take_sums, after who sees the count. */
	do {
		new = old;
		for (unsigned int dir = HOLD_RX; dir <= HOLD_TX; dir <<= 1)
			if ((dirs & dir) && holders(old, dir))
				new -= one(dir);
	} while (!atomic_compare_exchange_weak(&h->word, &old, new));
}

/* After the count: pairs with hold_give. */
static void take_sums(struct hold *h, unsigned int dirs, struct hold_sums *ret_sums)
{
	for (unsigned int i = 0; i < HOLD_SUMS; i++)
		ret_sums->of[i] = is_of(i, dirs) ?
					  atomic_exchange_explicit(&h->given[i], 0,
								   memory_order_relaxed) :
					  0;
}

/* What of that a process would own that holds these. */
static unsigned int claimable(uint64_t word, unsigned int held)
{
	bool tx = (held & HOLD_TX) && holders(word, HOLD_TX) == 1;

	if (word >> OWNER_SHIFT || word & SPOILT)
		return 0;
	if (!(held & HOLD_RX)) /* nobody reads: so it is for who writes alone */
		return tx && holders(word, HOLD_RX) == 0 ? HOLD_BOTH : 0;
	if (holders(word, HOLD_RX) != 1)
		return 0;
	return tx ? HOLD_BOTH : HOLD_RX;
}

unsigned int hold_claim(struct hold *h, pid_t pid, unsigned int held,
			struct hold_sums *ret_sums)
{
	uint64_t old = atomic_load(&h->word), new;
	unsigned int mine;

	do {
		mine = claimable(old, held);
		if (!mine)
			return 0;
		new = old | owned_by(pid) | (mine & HOLD_TX ? OWNS_TX : 0);
		if (!(held & HOLD_RX))
			new += one(HOLD_RX);
	} while (!atomic_compare_exchange_weak(&h->word, &old, new));
	take_sums(h, mine, ret_sums);
	return mine;
}

bool hold_claim_tx(struct hold *h, pid_t pid, struct hold_sums *ret_sums)
{
	/* Nobody else reads or writes; or it is to leave, or to go on as it is. */
	uint64_t old = owned_by(pid) | one(HOLD_TX) | one(HOLD_RX);

	if (!atomic_compare_exchange_strong(&h->word, &old, old | OWNS_TX))
		return false;
	take_sums(h, HOLD_TX, ret_sums);
	return true;
}

void hold_release(struct hold *h)
{
	/* Pairs with hold_await: it looks again in the kernel, or is woken. */
	atomic_fetch_and(&h->word, ((UINT64_C(1) << OWNER_SHIFT) - 1) & ~(uint64_t)OWNS_TX);
	OS3(SYS_futex, owner_half(h), FUTEX_WAKE, INT32_MAX);
}

bool hold_wanted(const struct hold *h)
{
	uint64_t word = atomic_load(&h->word);

	return holders(word, HOLD_RX) > 1 ||
	       ((word & OWNS_TX) && holders(word, HOLD_TX) > 1);
}

bool hold_await(struct hold *h, unsigned int dirs, pid_t owner, uint64_t ns)
{
	uint64_t end = os_now_ns() + ns, now;

	while (hold_in_way(h, dirs) == owner && (now = os_now_ns()) < end) {
		struct timespec ts = { .tv_sec = (time_t)((end - now) / 1000000000u),
				       .tv_nsec = (long)((end - now) % 1000000000u) };

		OS4(SYS_futex, owner_half(h), FUTEX_WAIT, (uint32_t)owner, &ts);
	}
	return hold_in_way(h, dirs) != owner;
}

void hold_spoil(struct hold *h)
{
	atomic_fetch_or(&h->word, SPOILT);
}

pid_t hold_in_way(const struct hold *h, unsigned int dirs)
{
	uint64_t word = atomic_load(&h->word);

	return (dirs & HOLD_RX) || (word & OWNS_TX) ? (pid_t)(word >> OWNER_SHIFT) : 0;
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

bool hold_alone(const struct hold *h, unsigned int held)
{
	return claimable(atomic_load_explicit(&h->word, memory_order_relaxed), held);
}

bool hold_alone_tx(const struct hold *h)
{
	uint64_t word = atomic_load_explicit(&h->word, memory_order_relaxed);

	return !(word & (SPOILT | OWNS_TX)) && holders(word, HOLD_TX) == 1;
}
