/* SPDX-License-Identifier: MIT */
/*
 * The xen backend of a build without libxen-dev: there is none.
 */
#include <errno.h>

#include "hv.h"

int xvmc_hv_open_xen(struct xvmc_hv **ret_hv)
{
	(void)ret_hv;
	return -ENOENT;
}

void xvmc_hv_xen_holder(struct xvmc_hv *hv, xvmc_hv_hold hold, void *arg)
{
	(void)hv, (void)hold, (void)arg;
}

int xvmc_hv_xen_hold_all(struct xvmc_hv *hv)
{
	(void)hv;
	return 0;
}

uint32_t xvmc_hv_xen_incarnation(void)
{
	return 0;
}

bool xvmc_hv_xen_pv(void)
{
	return false;
}
