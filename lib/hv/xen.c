/* SPDX-License-Identifier: MIT */
/*
 * The xen backend's handle and identity, by CPUID and libxenstore. Grants are
 * in xen-pages.c and its two (libxengnttab), event channels in xen-chan.c (libxenevtchn).
 * For PVH and HVM guests; a PV guest shares, but maps nothing [X 2].
 *
 * Held to hv.h between two guests of Xen 4.17 by `./run lab contract`.
 *
 * Threads, fork, exec, migration: as hv.h says. libxen's functions call
 * libc's open, ioctl and close; inside libxvmc.so those names are our own
 * wrappers, which pass descriptors they do not know straight on.
 */
#include "xen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xenstore.h>

#include "base/numbers.h"
#include "base/os.h"

static struct xen_hv *xen_hv(struct xvmc_hv *hv)
{
	return (struct xen_hv *)hv;
}

/* ---- identity ---- */

static int store_domid(struct xen_hv *xh, xvmc_domid_t *ret_domid)
{
	unsigned int len;
	char *text = xs_read(xh->xs, XBT_NULL, "domid", &len), *end;
	unsigned long n;
	int rc = -EIO;

	if (!text)
		return -EIO;
	n = strtoul(text, &end, 10);
	if (end != text && !*end && n < 0x7ff0) { /* DOMID_FIRST_RESERVED */
		*ret_domid = (xvmc_domid_t)n;
		rc = 0;
	}
	free(text);
	return rc;
}

static int xen_self(struct xvmc_hv *hv, struct xvmc_hv_self *ret_self)
{
	struct xen_hv *xh = xen_hv(hv);
	struct xvmc_hv_self self = { 0 };
	int keep = errno, rc = 0;

	/* A migration in between makes the pair older than it is, never
	 * newer: the incarnation that follows tells. */
	self.incarnation = xen_cpuid_incarnation(&xh->cpuid);
	if (xh->cpuid.has_domid)
		self.domid = xen_cpuid_domid(&xh->cpuid);
	else
		rc = store_domid(xh, &self.domid);
	if (rc == 0)
		*ret_self = self;
	errno = keep;
	return rc;
}

static uint32_t xen_incarnation(struct xvmc_hv *hv)
{
	return xen_cpuid_incarnation(&xen_hv(hv)->cpuid);
}

/* ---- the handle ---- */

static void xen_close(struct xvmc_hv *hv)
{
	struct xen_hv *xh = xen_hv(hv);
	int keep = errno;

	xen_pages_close(xh);
	xen_chan_close_all(xh);
	if (xh->xs)
		xs_close(xh->xs);
	free(xh);
	errno = keep;
}

/* To close is all a child may do. */
static void xen_abandon(struct xvmc_hv *hv)
{
	struct xen_hv *xh = xen_hv(hv);
	int keep = errno;

	xen_chan_abandon_all(xh);
	xen_pages_abandon(xh);
	if (xh->xs)
		xs_daemon_destroy_postfork(xh->xs);
	free(xh);
	errno = keep;
}

/* Nothing is done behind the caller's back: a migration just happens. */
static int xen_event_fd(struct xvmc_hv *hv)
{
	(void)hv;
	return -1;
}

static int xen_dispatch(struct xvmc_hv *hv)
{
	(void)hv;
	return 0;
}

static const struct xvmc_hv_ops xen_ops = {
	.name = "xen",
	.close = xen_close,
	.abandon = xen_abandon,
	.self = xen_self,
	.incarnation = xen_incarnation,
	.share = xen_share,
	.unshare = xen_unshare,
	.map = xen_map,
	.unmap = xen_unmap,
	.copy = xen_copy,
	.chan_alloc = xen_chan_alloc,
	.chan_bind = xen_chan_bind,
	.chan_close = xen_chan_close,
	.keep_share = xen_keep_share,
	.keep_map = xen_keep_map,
	.chan_hush = xen_chan_hush,
	.notify = xen_chan_notify,
	.event_fd = xen_event_fd,
	.dispatch = xen_dispatch,
	.owner_clear = xen_owner_clear,
	.chan_ack = xen_chan_ack,
};

bool xvmc_hv_xen_pv(void)
{
	char type[4] = "";
	int fd = OS_MAKE(OS4(SYS_openat, AT_FDCWD, "/sys/hypervisor/guest_type",
			     O_RDONLY | O_CLOEXEC, 0));

	if (fd < 0)
		return false;
	os_read(fd, type, sizeof(type) - 1);
	os_close(fd);
	return !strncmp(type, "PV\n", 3);
}

static int may_open(const char *path)
{
	int rc = (int)OS3(SYS_faccessat, AT_FDCWD, path, R_OK | W_OK);

	return rc == -EROFS || rc == -EACCES ? -EACCES : rc < 0 ? -ENOENT : 0;
}

/* Asks before it opens: elsewhere than on Xen nothing may be touched. */
static int look(struct xen_hv *xh)
{
	int rc = may_open("/dev/xen/evtchn");

	if (rc == 0)
		rc = may_open("/dev/xen/gntalloc");
	if (rc == 0)
		rc = may_open("/dev/xen/gntdev");
	if (rc == 0 && !xen_cpuid_find(&xh->cpuid))
		rc = -ENOENT;
	return rc;
}

int xvmc_hv_open_xen(struct xvmc_hv **ret_hv)
{
	struct xen_hv *xh = calloc(1, sizeof(*xh));
	int keep = errno, rc;

	if (!xh)
		return -ENOSPC;
	xh->hv.ops = &xen_ops;
	xvmc_list_init(&xh->shares);
	xvmc_list_init(&xh->maps);
	xvmc_list_init(&xh->chans);
	rc = look(xh);
	if (rc < 0)
		goto fail;
	xh->pv = xvmc_hv_xen_pv();
	if (!xh->cpuid.has_domid) {
		xh->xs = xs_open(0);
		if (!xh->xs) {
			rc = -EIO;
			goto fail;
		}
	}
	rc = xen_pages_open(xh);
	if (rc < 0)
		goto fail;
	errno = keep;
	*ret_hv = &xh->hv;
	return 0;
fail:
	xen_close(&xh->hv);
	errno = keep;
	return rc;
}

void xvmc_hv_xen_holder(struct xvmc_hv *hv, xvmc_hv_hold hold, void *arg)
{
	struct xen_hv *xh = xen_hv(hv);

	xh->hold = hold;
	xh->hold_arg = arg;
}

uint32_t xvmc_hv_xen_incarnation(void)
{
	struct xen_cpuid cpuid;

	return xen_cpuid_find(&cpuid) ? xen_cpuid_incarnation(&cpuid) : 0;
}
