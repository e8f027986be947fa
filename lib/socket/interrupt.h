/* SPDX-License-Identifier: MIT */
/*
 * Signals in a call that sleeps more than once. For the kernel such a call is
 * one sleep, which every handler ends (but, where the call may be begun again,
 * one with SA_RESTART). We come awake in between, for a switch, and a handler
 * that runs then would go unnoticed: so before the second sleep the count of
 * handlers is looked at, with all signals blocked until the kernel, asleep,
 * lets them through again.
 */
#ifndef XVMC_SOCKET_INTERRUPT_H
#define XVMC_SOCKET_INTERRUPT_H

#include "base/os.h"
#include "base/section.h"

struct interrupt {
	uint32_t ran, ran_hard; /* when the call began */
	bool slept;
	bool masked;
	sigset_t mask; /* the thread's, while masked */
};

/* Each call begins so: the mask, long as it is, is not touched before it is
 * wanted. */
static inline void interrupt_begin(struct interrupt *ret_in)
{
	ret_in->ran = xvmc_section.ran;
	ret_in->ran_hard = xvmc_section.ran_hard;
	ret_in->slept = ret_in->masked = false;
}

/* restart: the call is one that SA_RESTART begins again. */
static inline bool interrupt_came(const struct interrupt *in, bool restart)
{
	return restart ? xvmc_section.ran_hard != in->ran_hard :
			 xvmc_section.ran != in->ran;
}

/* A sleep that SA_RESTART does not begin again itself ended by EINTR: would
 * the call? A handler nobody counted was not bound by us, who knows how. */
static inline bool interrupt_restarts(const struct interrupt *in)
{
	return interrupt_came(in, false) && !interrupt_came(in, true);
}

static inline void interrupt_sleep_end(struct interrupt *in)
{
	if (in->masked)
		OS4(SYS_rt_sigprocmask, SIG_SETMASK, &in->mask, NULL, _NSIG / 8);
	in->masked = false;
}

/*
 * Before each sleep. False: a handler has run since the call began. From the
 * second sleep on the thread's signals are blocked, and the sleep must apply
 * interrupt_mask(); interrupt_sleep_end() after it, however it ends.
 */
static inline bool interrupt_sleep(struct interrupt *in, bool restart)
{
	/* But libc's own two, for cancellation and set-uid. */
	uint64_t all = ~(1ull << (32 - 1) | 1ull << (33 - 1));

	if (!in->slept) {
		in->slept = true;
		return true;
	}
	OS4(SYS_rt_sigprocmask, SIG_BLOCK, &all, &in->mask, sizeof(all));
	in->masked = true;
	if (!interrupt_came(in, restart))
		return true;
	interrupt_sleep_end(in);
	return false;
}

/* What a sleep applies: the caller's own mask, or the thread's, or NULL. */
static inline const sigset_t *interrupt_mask(const struct interrupt *in,
					     const sigset_t *own)
{
	return own ? own : in->masked ? &in->mask : NULL;
}

#endif
