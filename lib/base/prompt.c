/* SPDX-License-Identifier: MIT */
#include "prompt.h"

#include <sched.h>

#include "os.h"

#define SLICE_NS 100000u /* the least that the kernel takes */

/* The kernel's struct sched_attr, as it was first. */
struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

void xvmc_prompt(void)
{
	struct attr attr = { .size = sizeof(attr) };

	if (xvmc_os_filtered() ||
	    OS4(SYS_sched_getattr, 0, &attr, sizeof(attr), 0) < 0 ||
	    attr.policy != SCHED_OTHER)
		return;
	attr.runtime = SLICE_NS;
	OS3(SYS_sched_setattr, 0, &attr, 0);
}
