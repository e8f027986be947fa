/* SPDX-License-Identifier: MIT */
/*
 * Grants of the xen backend: pages of ours by gntalloc, a peer's by gntdev,
 * both through libxengnttab.
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
 *            [X 4]; unmap and unshare stay legal. Not yet run on Xen.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <xengnttab.h>
#include <xentoollog.h>

#include <xen/gntdev.h> /* the kernel's; needs the types of xengnttab.h */

#include "base/os.h"
#include "xen.h"

#define PAGE ((size_t)4096)

struct xen_pages {
	struct xvmc_list node;
	void *addr;
	uint32_t npages;
};

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

static struct xen_hv *xen_hv(struct xvmc_hv *hv)
{
	return (struct xen_hv *)hv;
}

static int rdev_of(int fd, uint64_t *ret_rdev)
{
	struct stat st;
	int rc = (int)OS2(SYS_fstat, fd, &st);

	if (rc == 0)
		*ret_rdev = st.st_rdev;
	return rc;
}

static bool still(int fd, uint64_t rdev)
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
static int need_tab(struct xen_hv *xh)
{
	if (xh->tab && still(xengnttab_fd(xh->tab), xh->tab_rdev))
		return 0;
	xh->tab = xengnttab_open(&xen_silent, 0);
	if (!xh->tab)
		return open_error(errno);
	return rdev_of(xengnttab_fd(xh->tab), &xh->tab_rdev);
}

static int need_shr(struct xen_hv *xh)
{
	if (xh->shr && still(xengntshr_fd(xh->shr), xh->shr_rdev))
		return 0;
	xh->shr = xengntshr_open(&xen_silent, 0);
	if (!xh->shr)
		return open_error(errno);
	return rdev_of(xengntshr_fd(xh->shr), &xh->shr_rdev);
}

static void close_devices(struct xen_hv *xh)
{
	if (xh->tab && still(xengnttab_fd(xh->tab), xh->tab_rdev))
		xengnttab_close(xh->tab);
	if (xh->shr && still(xengntshr_fd(xh->shr), xh->shr_rdev))
		xengntshr_close(xh->shr);
	xh->tab = xh->shr = NULL;
}

static struct xen_pages *pages_new(struct xvmc_list *list, void *addr,
				   size_t npages)
{
	struct xen_pages *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->addr = addr;
	p->npages = (uint32_t)npages;
	/* gntdev itself keeps only a PV guest's mappings out of a child. */
	OS3(SYS_madvise, addr, npages * PAGE, MADV_DONTFORK);
	xvmc_list_add(list, &p->node);
	return p;
}

static int grant_error(int err)
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

int xen_share(struct xvmc_hv *hv, xvmc_domid_t peer, size_t npages,
		     bool writable, struct xvmc_share *ret_share,
		     xvmc_gref_t *ret_grefs)
{
	struct xen_hv *xh = xen_hv(hv);
	int keep = errno, rc;
	struct xen_pages *p;
	void *addr;

	rc = need_shr(xh);
	if (rc < 0)
		return rc;
	/* gntalloc's pages come zeroed and are mapped at once. */
	addr = xengntshr_share_pages(xh->shr, peer, (int)npages, ret_grefs,
				     writable);
	if (!addr) {
		rc = grant_error(errno);
		errno = keep;
		return rc == -EACCES ? -ENOSPC : rc;
	}
	p = pages_new(&xh->shares, addr, npages);
	if (!p) {
		xengntshr_unshare(xh->shr, addr, (uint32_t)npages);
		errno = keep;
		return -ENOSPC;
	}
	ret_share->addr = addr;
	ret_share->npages = npages;
	ret_share->writable = writable;
	ret_share->priv = p;
	errno = keep;
	return 0;
}

/* The kernel frees a page when neither we nor the peer map it: after a
 * migration too, where the grant itself has long gone [X 4]. */
static void unshare_pages(struct xen_pages *p)
{
	int keep = errno;

	xvmc_list_del(&p->node);
	OS2(SYS_munmap, p->addr, p->npages * PAGE); /* all that it takes */
	free(p);
	errno = keep;
}

void xen_unshare(struct xvmc_hv *hv, struct xvmc_share *share)
{
	(void)hv;
	if (!share->priv)
		return;
	unshare_pages(share->priv);
	memset(share, 0, sizeof(*share));
}

/* libxengnttab offers the notification for mappings of a single page only,
 * so it is asked for here, for any. The kernel clears the byte on munmap, on
 * exit and on SIGKILL [X 1]. SEND_EVENT is not used: it has the flaw of
 * stale channels. */
static int clear_on_unmap(struct xen_hv *xh, void *addr, size_t byte)
{
	struct ioctl_gntdev_get_offset_for_vaddr where = {
		.vaddr = (uintptr_t)addr,
	};
	struct ioctl_gntdev_unmap_notify notify = {
		.action = UNMAP_NOTIFY_CLEAR_BYTE,
	};
	int fd = xengnttab_fd(xh->tab), rc;

	rc = os_ioctl(fd, IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &where);
	if (rc < 0)
		return rc;
	notify.index = where.offset + byte;
	return os_ioctl(fd, IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &notify);
}

static int map_pages(struct xen_hv *xh, xvmc_domid_t peer,
		     const xvmc_gref_t *grefs, size_t ngrefs, bool writable,
		     size_t clear_byte, void **ret_addr)
{
	int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ, rc;
	void *addr;

	/* It only reads the references. */
	addr = xengnttab_map_domain_grant_refs(xh->tab, (uint32_t)ngrefs, peer,
					       (uint32_t *)(uintptr_t)grefs,
					       prot);
	if (!addr)
		return grant_error(errno);
	if (clear_byte != XVMC_HV_NO_CLEAR) {
		rc = clear_on_unmap(xh, addr, clear_byte);
		if (rc < 0) {
			xengnttab_unmap(xh->tab, addr, (uint32_t)ngrefs);
			return rc;
		}
	}
	*ret_addr = addr;
	return 0;
}

int xen_map(struct xvmc_hv *hv, xvmc_domid_t peer,
		   const xvmc_gref_t *grefs, size_t ngrefs, bool writable,
		   size_t clear_byte, struct xvmc_map *ret_map)
{
	struct xen_hv *xh = xen_hv(hv);
	int keep = errno, rc;
	struct xen_pages *p;
	void *addr = NULL;

	/* A PV guest that is suspended with a mapping loses 2 MiB of its own
	 * address space [X 2]: it only sends by ring. */
	if (xh->pv)
		return -EACCES;
	if (clear_byte != XVMC_HV_NO_CLEAR &&
	    (!writable || clear_byte >= ngrefs * PAGE))
		return -EINVAL;
	rc = need_tab(xh);
	if (rc == 0)
		rc = map_pages(xh, peer, grefs, ngrefs, writable, clear_byte,
			       &addr);
	if (rc < 0)
		goto out;
	p = pages_new(&xh->maps, addr, ngrefs);
	if (!p) {
		xengnttab_unmap(xh->tab, addr, (uint32_t)ngrefs);
		rc = -ENOSPC;
		goto out;
	}
	ret_map->addr = addr;
	ret_map->npages = ngrefs;
	ret_map->writable = writable;
	ret_map->priv = p;
out:
	errno = keep;
	return rc;
}

/* After a migration this costs a kernel warning a page, nothing worse [X 3].
 * Where the descriptor is not the device any more, the kernel still undoes
 * everything when the mapping goes. */
static void unmap_pages(struct xen_hv *xh, struct xen_pages *p)
{
	int keep = errno;

	xvmc_list_del(&p->node);
	if (!xh->tab || !still(xengnttab_fd(xh->tab), xh->tab_rdev) ||
	    xengnttab_unmap(xh->tab, p->addr, p->npages) != 0)
		OS2(SYS_munmap, p->addr, p->npages * PAGE);
	free(p);
	errno = keep;
}

void xen_unmap(struct xvmc_hv *hv, struct xvmc_map *map)
{
	if (!map->priv)
		return;
	unmap_pages(xen_hv(hv), map->priv);
	memset(map, 0, sizeof(*map));
}

int xen_pages_open(struct xen_hv *xh)
{
	int rc = need_shr(xh);

	return rc < 0 ? rc : need_tab(xh);
}

void xen_pages_close(struct xen_hv *xh)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &xh->maps)
		unmap_pages(xh, xvmc_list_entry(it, struct xen_pages, node));
	xvmc_list_each(it, tmp, &xh->shares)
		unshare_pages(xvmc_list_entry(it, struct xen_pages, node));
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
