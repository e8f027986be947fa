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
 *            [X 4]; unmap and unshare stay legal.
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

#include <xen/gntalloc.h> /* the kernel's; need the types of xengnttab.h */
#include <xen/gntdev.h>

#include "base/os.h"
#include "xen.h"

#define PAGE ((size_t)4096)

#define NO_INDEX UINT64_MAX

struct xen_pages {
	struct xvmc_list node;
	void *addr;
	uint32_t npages;
	/* A share: gntalloc's name for it, while its descriptor holds it too;
	 * NO_INDEX: the mapping alone does. */
	uint64_t index;
	size_t clear_byte; /* of a mapping, or XVMC_HV_NO_CLEAR */
	bool kept;         /* a mapping's place is taken by memory of our own */
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
	p->index = NO_INDEX;
	p->clear_byte = XVMC_HV_NO_CLEAR;
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

/*
 * libxengnttab's xengntshr_share_pages() would do, but it keeps for itself the
 * number that gntalloc gave the pages, and xen_owner_clear() needs it. So the
 * kernel is asked here; the handle is the library's.
 */
static int alloc_grefs(int fd, xvmc_domid_t peer, size_t npages, bool writable,
		       uint64_t *ret_index, xvmc_gref_t *ret_grefs)
{
	struct ioctl_gntalloc_alloc_gref *op;
	int rc;

	op = calloc(1, sizeof(*op) + npages * sizeof(op->gref_ids[0]));
	if (!op)
		return -ENOSPC;
	op->domid = (uint16_t)peer;
	op->flags = writable ? GNTALLOC_FLAG_WRITABLE : 0;
	op->count = (uint32_t)npages;
	rc = os_ioctl(fd, IOCTL_GNTALLOC_ALLOC_GREF, op);
	if (rc == 0) {
		*ret_index = op->index;
		for (size_t i = 0; i < npages; i++)
			ret_grefs[i] = op->gref_ids[i];
	}
	free(op);
	return rc;
}

static void dealloc_grefs(int fd, uint64_t index, uint32_t npages)
{
	struct ioctl_gntalloc_dealloc_gref op = { .index = index, .count = npages };

	os_ioctl(fd, IOCTL_GNTALLOC_DEALLOC_GREF, &op);
}

int xen_share(struct xvmc_hv *hv, xvmc_domid_t peer, size_t npages,
		     bool writable, struct xvmc_share *ret_share,
		     xvmc_gref_t *ret_grefs)
{
	struct xen_hv *xh = xen_hv(hv);
	int keep = errno, rc, fd;
	struct xen_pages *p;
	uint64_t index = NO_INDEX;
	void *addr;

	if (peer > UINT16_MAX)
		return -ENOENT;
	rc = need_shr(xh);
	if (rc < 0)
		goto out;
	fd = xengntshr_fd(xh->shr);
	rc = alloc_grefs(fd, peer, npages, writable, &index, ret_grefs);
	if (rc < 0) {
		rc = grant_error(-rc) == -EMFILE ? -EMFILE : -ENOSPC;
		goto out;
	}
	/* The pages come zeroed and are mapped at once. */
	addr = mmap(NULL, npages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
		    (off_t)index);
	p = addr == MAP_FAILED ? NULL : pages_new(&xh->shares, addr, npages);
	if (!p) {
		if (addr != MAP_FAILED)
			OS2(SYS_munmap, addr, npages * PAGE);
		dealloc_grefs(fd, index, (uint32_t)npages);
		rc = -ENOSPC;
		goto out;
	}
	p->index = index;
	ret_share->addr = addr;
	ret_share->npages = npages;
	ret_share->writable = writable;
	ret_share->priv = p;
out:
	errno = keep;
	return rc;
}

/* gntalloc forgets the descriptor's part in a share; the mapping's stays. */
static void let_go(struct xen_hv *xh, struct xen_pages *p)
{
	if (p->index != NO_INDEX && xh->shr &&
	    still(xengntshr_fd(xh->shr), xh->shr_rdev))
		dealloc_grefs(xengntshr_fd(xh->shr), p->index, p->npages);
	p->index = NO_INDEX;
}

/*
 * The kernel clears the byte when nobody holds the page any more: neither the
 * mapping, which goes with the process, nor the descriptor, which a forked
 * child may have. So the latter is made to let go of it. After a migration of
 * ours the byte that is cleared is in our own copy, which no peer sees.
 */
int xen_owner_clear(struct xvmc_hv *hv, struct xvmc_share *share, size_t byte)
{
	struct xen_hv *xh = xen_hv(hv);
	struct xen_pages *p = share->priv;
	struct ioctl_gntalloc_unmap_notify op = { .action = UNMAP_NOTIFY_CLEAR_BYTE };
	int rc;

	if (!p || !share->writable || byte >= share->npages * PAGE || p->index == NO_INDEX)
		return -EINVAL;
	if (!still(xengntshr_fd(xh->shr), xh->shr_rdev))
		return -EIO;
	op.index = p->index + byte;
	rc = os_ioctl(xengntshr_fd(xh->shr), IOCTL_GNTALLOC_SET_UNMAP_NOTIFY, &op);
	if (rc == 0)
		let_go(xh, p);
	return rc;
}

/* The kernel frees a page when neither we nor the peer map it: after a
 * migration too, where the grant itself has long gone [X 4]. */
static void unshare_pages(struct xen_hv *xh, struct xen_pages *p)
{
	int keep = errno;

	xvmc_list_del(&p->node);
	OS2(SYS_munmap, p->addr, p->npages * PAGE);
	let_go(xh, p);
	free(p);
	errno = keep;
}

void xen_unshare(struct xvmc_hv *hv, struct xvmc_share *share)
{
	if (!share->priv)
		return;
	unshare_pages(xen_hv(hv), share->priv);
	memset(share, 0, sizeof(*share));
}

/* gntdev's name for a mapping. */
static int offset_of(struct xen_hv *xh, void *addr, uint64_t *ret_offset)
{
	struct ioctl_gntdev_get_offset_for_vaddr where = {
		.vaddr = (uintptr_t)addr,
	};
	int rc = os_ioctl(xengnttab_fd(xh->tab), IOCTL_GNTDEV_GET_OFFSET_FOR_VADDR, &where);

	if (rc == 0)
		*ret_offset = where.offset;
	return rc;
}

/* libxengnttab offers the notification for mappings of a single page only,
 * so it is asked for here, for any. The kernel clears the byte on munmap, on
 * exit and on SIGKILL [X 1]. SEND_EVENT is not used: it has the flaw of
 * stale channels. */
static int clear_on_unmap(struct xen_hv *xh, uint64_t offset, size_t byte, bool on)
{
	struct ioctl_gntdev_unmap_notify notify = {
		.index = offset + byte,
		.action = on ? UNMAP_NOTIFY_CLEAR_BYTE : 0,
	};

	return os_ioctl(xengnttab_fd(xh->tab), IOCTL_GNTDEV_SET_UNMAP_NOTIFY, &notify);
}

static int map_pages(struct xen_hv *xh, xvmc_domid_t peer,
		     const xvmc_gref_t *grefs, size_t ngrefs, bool writable,
		     size_t clear_byte, void **ret_addr)
{
	int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ, rc;
	uint64_t offset;
	void *addr;

	/* It only reads the references. */
	addr = xengnttab_map_domain_grant_refs(xh->tab, (uint32_t)ngrefs, peer,
					       (uint32_t *)(uintptr_t)grefs,
					       prot);
	if (!addr)
		return grant_error(errno);
	if (clear_byte != XVMC_HV_NO_CLEAR) {
		rc = offset_of(xh, addr, &offset);
		if (rc == 0)
			rc = clear_on_unmap(xh, offset, clear_byte, true);
		if (rc < 0) {
			xengnttab_unmap(xh->tab, addr, (uint32_t)ngrefs);
			return rc;
		}
	}
	*ret_addr = addr;
	return 0;
}

static bool is_own(struct xen_hv *xh, xvmc_domid_t peer)
{
	struct xvmc_hv_self self;

	return xvmc_hv_self(&xh->hv, &self) < 0 || self.domid == peer;
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
	 * address space [X 2]: it only sends by ring. And a PVH guest that maps
	 * a page of its own loses the page: in its physical memory a frame has
	 * one place. Seen in the lab: what was there reads as 0xFF, and the
	 * guest's kernel dies of it later. */
	if (xh->pv || is_own(xh, peer))
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
	p->clear_byte = clear_byte;
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
	if (p->kept || !xh->tab || !still(xengnttab_fd(xh->tab), xh->tab_rdev) ||
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

/* ---- ours alone ---- */

int xen_keep_share(struct xvmc_hv *hv, struct xvmc_share *share, void *with)
{
	struct xen_pages *p = share->priv;
	int rc = xvmc_hv_replace(p->addr, with, p->npages);

	if (rc == 0)
		let_go(xen_hv(hv), p);
	return rc;
}

/*
 * As libxengnttab unmaps, but that the mapping's place is taken rather than left
 * empty; and the byte is not cleared. Where the descriptor is not the device any
 * more the kernel cannot be told so: the mapping stays until its end.
 */
int xen_keep_map(struct xvmc_hv *hv, struct xvmc_map *map, void *with)
{
	struct ioctl_gntdev_unmap_grant_ref op = { 0 };
	struct xen_hv *xh = xen_hv(hv);
	struct xen_pages *p = map->priv;
	bool clears = p->clear_byte != XVMC_HV_NO_CLEAR;
	uint64_t offset = 0;
	int rc;

	if (p->kept)
		return xvmc_hv_replace(p->addr, with, p->npages);
	if (!xh->tab || !still(xengnttab_fd(xh->tab), xh->tab_rdev))
		return -EIO;
	rc = offset_of(xh, p->addr, &offset);
	if (rc == 0 && clears)
		rc = clear_on_unmap(xh, offset, p->clear_byte, false);
	if (rc < 0)
		return rc;
	rc = xvmc_hv_replace(p->addr, with, p->npages);
	if (rc < 0) {
		if (clears)
			clear_on_unmap(xh, offset, p->clear_byte, true);
		return rc;
	}
	p->kept = true;
	op.index = offset;
	op.count = p->npages;
	os_ioctl(xengnttab_fd(xh->tab), IOCTL_GNTDEV_UNMAP_GRANT_REF, &op);
	return 0;
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
		unshare_pages(xh, xvmc_list_entry(it, struct xen_pages, node));
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
