/* SPDX-License-Identifier: MIT */
/*
 * Xen's CPUID leaves: the one thing that tells a process at once, without a
 * system call, that its guest has migrated [X 7]. On other architectures
 * there is nothing to ask, and Xen has no live migration there either.
 */
#include "xen.h"

#if defined(__x86_64__)
#include <cpuid.h>

/* Leaf numbers from base; xen/arch-x86/cpuid.h describes them. */
#define LEAF_TIME 3u
#define LEAF_HVM 4u
#define HVM_DOMID_PRESENT (1u << 4)

/* Other interfaces may sit below Xen's (viridian): it is one of these. */
#define FIRST 0x40000000u
#define STEP 0x100u
#define LAST 0x40010000u

static bool is_xen(uint32_t b, uint32_t c, uint32_t d)
{
	return b == 0x566e6558u && c == 0x65584d4du && d == 0x4d4d566eu;
}

bool xen_cpuid_find(struct xen_cpuid *ret_cpuid)
{
	uint32_t a, b, c, d, base;

	__cpuid(1, a, b, c, d);
	if (!(c & (1u << 31))) /* no hypervisor at all: spare the search */
		return false;
	for (base = FIRST; base < LAST; base += STEP) {
		__cpuid(base, a, b, c, d);
		if (is_xen(b, c, d))
			break;
	}
	if (base == LAST || a < base + LEAF_TIME)
		return false;
	ret_cpuid->base = base;
	ret_cpuid->has_domid = false;
	if (a >= base + LEAF_HVM) {
		__cpuid_count(base + LEAF_HVM, 0, a, b, c, d);
		ret_cpuid->has_domid = (a & HVM_DOMID_PRESENT) != 0;
	}
	return true;
}

uint32_t xen_cpuid_incarnation(const struct xen_cpuid *cpuid)
{
	uint32_t a, b, c, d;

	__cpuid_count(cpuid->base + LEAF_TIME, 0, a, b, c, d);
	return d;
}

uint32_t xen_cpuid_domid(const struct xen_cpuid *cpuid)
{
	uint32_t a, b, c, d;

	__cpuid_count(cpuid->base + LEAF_HVM, 0, a, b, c, d);
	return c;
}

#else

bool xen_cpuid_find(struct xen_cpuid *ret_cpuid)
{
	ret_cpuid->base = 0;
	ret_cpuid->has_domid = false;
	return true;
}

uint32_t xen_cpuid_incarnation(const struct xen_cpuid *cpuid)
{
	(void)cpuid;
	return 0;
}

uint32_t xen_cpuid_domid(const struct xen_cpuid *cpuid)
{
	(void)cpuid;
	return XVMC_DOMID_NONE;
}
#endif
