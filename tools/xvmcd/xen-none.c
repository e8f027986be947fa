/* SPDX-License-Identifier: MIT */
/*
 * A build without libxen-dev: no guest mode, no dom0's part.
 */
#include <errno.h>

#include "xen.h"

int xen_open(struct xvmcd *d)
{
	(void)d;
	return -ENOENT;
}

int xen_start(struct xvmcd *d)
{
	(void)d;
	return -ENOENT;
}

void xen_stop(struct xvmcd *d)
{
	(void)d;
}

int xen_hold(struct agent *agent, uint32_t port, int fd)
{
	(void)agent, (void)port, (void)fd;
	return -EOPNOTSUPP;
}

void xen_forget(struct agent *agent)
{
	(void)agent;
}

void notice_answer(struct xvmcd *d, const struct xvmc_lh_dom *dom, const char *number)
{
	(void)d, (void)dom, (void)number;
}

void notice_over(struct xvmcd *d)
{
	(void)d;
}

int dom0_run(void)
{
	return -ENOENT;
}
