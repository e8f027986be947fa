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
