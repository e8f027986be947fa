/* SPDX-License-Identifier: MIT */
/*
 * Grants of the xen backend: what pages of ours (xen-share.c) and a peer's
 * (xen-map.c) have in common, their two devices and how they end.
 *
 * Unlike those of channels, the descriptors of the two devices cannot be
 * moved to high numbers (libxengnttab opens them itself), so a program that
 * closes everything may close them and get their numbers for files of its
 * own: every use asks first whether the device is still what is behind them.
 *
 * Threads:   the handle's one.
 * fork:      MADV_DONTFORK; a child closes the descriptors, which frees
 *            nothing while the parent has them.
 * exec:      CLOEXEC.
 * migration: a mapping becomes a hole [X 3], shared pages become our own
 *            [X 4]; unmap and unshare stay legal.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <xengnttab.h>
#include <xentoollog.h>

#include "base/os.h"
#include "xen-pages.h"

static void say_nothing(struct xentoollog_logger *logger,
			xentoollog_level level, int errnoval,
			const char *context, const char *format, va_list al)
	__attribute__((format(printf, 5, 0)));

static void say_nothing(struct xentoollog_logger *logger,
			xentoollog_level level, int errnoval,
			const char *context, const char *format, va_list al)
{
	(void)logger, (void)level, (void)errnoval;
	(void)context, (void)format, (void)al;
}

struct xentoollog_logger xen_silent = { .vmessage = say_nothing };

static int rdev_of(int fd, uint64_t *ret_rdev)
{
	struct stat st;
	int rc = (int)OS2(SYS_fstat, fd, &st);

	if (rc == 0)
		*ret_rdev = st.st_rdev;
	return rc;
}

bool xen_still(int fd, uint64_t rdev)
{
	uint64_t now;

	return rdev_of(fd, &now) == 0 && now == rdev;
}

static int open_error(int err)
{
	switch (err) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return -ENOENT;
	case ENOMEM:
		return -ENOSPC;
	case ENFILE:
		return -EMFILE;
	default:
		return -err;
	}
}

/* A handle whose descriptor the program has closed is left to itself: what
 * it mapped lives on with the mappings, and to close it now would close a
 * file of the program's. */
int xen_need_tab(struct xen_hv *xh)
{
	if (xh->tab && xen_still(xengnttab_fd(xh->tab), xh->tab_rdev))
		return 0;
	xh->tab = xengnttab_open(&xen_silent, 0);
	if (!xh->tab)
		return open_error(errno);
	return rdev_of(xengnttab_fd(xh->tab), &xh->tab_rdev);
}

int xen_need_shr(struct xen_hv *xh)
{
	if (xh->shr && xen_still(xengntshr_fd(xh->shr), xh->shr_rdev))
		return 0;
	xh->shr = xengntshr_open(&xen_silent, 0);
	if (!xh->shr)
		return open_error(errno);
	return rdev_of(xengntshr_fd(xh->shr), &xh->shr_rdev);
}

static void close_devices(struct xen_hv *xh)
{
	if (xh->tab && xen_still(xengnttab_fd(xh->tab), xh->tab_rdev))
		xengnttab_close(xh->tab);
	if (xh->shr && xen_still(xengntshr_fd(xh->shr), xh->shr_rdev))
		xengntshr_close(xh->shr);
	xh->tab = xh->shr = NULL;
}

struct xen_pages *xen_pages_new(struct xvmc_list *list, void *addr, size_t npages)
{
	struct xen_pages *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->addr = addr;
	p->npages = (uint32_t)npages;
	p->index = XEN_NO_INDEX;
	p->clear_byte = XVMC_HV_NO_CLEAR;
	/* gntdev itself keeps only a PV guest's mappings out of a child. */
	OS3(SYS_madvise, addr, npages * XEN_PAGE, MADV_DONTFORK);
	xvmc_list_add(list, &p->node);
	return p;
}

int xen_grant_error(int err)
{
	switch (err) {
	case ENOSPC:
	case ENOMEM:
	case EAGAIN:
		return -ENOSPC;
	case EMFILE:
	case ENFILE:
		return -EMFILE;
	case ENOENT:
		return -ENOENT;
	default:
		/* The kernel does not say whether the grant is another's or
		 * not there at all. */
		return -EACCES;
	}
}

int xen_pages_open(struct xen_hv *xh)
{
	int rc = xen_need_shr(xh);

	return rc < 0 ? rc : xen_need_tab(xh);
}

void xen_pages_close(struct xen_hv *xh)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &xh->maps)
		xen_unmap_pages(xh, xvmc_list_entry(it, struct xen_pages, node));
	xvmc_list_each(it, tmp, &xh->shares)
		xen_unshare_pages(xh, xvmc_list_entry(it, struct xen_pages, node));
	close_devices(xh);
}

/* The mappings do not exist in a child, only what we remember of them. */
static void forget(struct xvmc_list *list)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, list)
		free(xvmc_list_entry(it, struct xen_pages, node));
	xvmc_list_init(list);
}

void xen_pages_abandon(struct xen_hv *xh)
{
	forget(&xh->maps);
	forget(&xh->shares);
	close_devices(xh);
}
