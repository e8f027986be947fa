/* SPDX-License-Identifier: MIT */
/*
 * The local backend's memory: sealed memfds, and what a migration does to
 * them. The instant must be one for every thread that is in the middle of a
 * copy: each mapping is replaced in place by one mmap(MAP_FIXED), which other
 * threads see either before or after, never as a hole.
 */
#include "local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/os.h"

#define HALF (XVMC_PAGE_SIZE / 2)

/* A child has no use for these mappings, and would keep the peer of a dead
 * parent waiting. */
static void *map_memory(size_t len, int prot, int fd, size_t offset)
{
	void *addr = mmap(NULL, len, prot, MAP_SHARED, fd, (off_t)offset);

	if (addr != MAP_FAILED)
		madvise(addr, len, MADV_DONTFORK);
	return addr;
}

/* Puts a private mapping of fd in a mapping's place: for every other thread
 * at once, which to a race detector must not look like a write of ours. */
static int replace_memory(void *addr, size_t len, int prot, int fd)
{
	long rc = OS6(SYS_mmap, addr, len, prot, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd, 0);

	if (rc < 0 && rc > -4096)
		return (int)rc;
	madvise(addr, len, MADV_DONTFORK);
	return 0;
}

int local_share_new(size_t npages, bool writable,
		    struct local_share **ret_share)
{
	size_t len = npages * XVMC_PAGE_SIZE;
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	struct local_share *share;
	int rc = -ENOSPC;

	if (npages == 0 || npages > XVMC_LW_PAGES_MAX)
		return -EINVAL;
	share = calloc(1, sizeof(*share));
	if (!share)
		return -ENOSPC;
	share->addr = MAP_FAILED;
	share->npages = npages;
	share->writable = writable;
	share->fd = xvmc_lw_memfd("xvmc", len);
	if (share->fd < 0) {
		rc = share->fd;
		goto fail;
	}
	if (writable) {
		share->older = calloc(npages, HALF);
		if (!share->older)
			goto fail;
	} else {
		seals |= F_SEAL_FUTURE_WRITE; /* our own mapping stays */
	}
	share->addr = map_memory(len, PROT_READ | PROT_WRITE, share->fd, 0);
	if (share->addr == MAP_FAILED)
		goto fail;
	rc = os_fcntl(share->fd, F_ADD_SEALS, seals);
	if (rc < 0)
		goto fail;
	*ret_share = share;
	return 0;
fail:
	local_share_free(share);
	return rc;
}

void local_share_free(struct local_share *share)
{
	if (!share)
		return;
	xvmc_list_del(&share->node);
	if (share->addr != MAP_FAILED)
		munmap(share->addr, share->npages * XVMC_PAGE_SIZE);
	if (share->fd >= 0)
		os_close(share->fd);
	free(share->older);
	free(share);
}

int local_map_new(int fd, size_t offset, size_t npages, bool writable,
		  struct local_map **ret_map)
{
	size_t len = npages * XVMC_PAGE_SIZE;
	struct local_map *map = NULL;
	int rc;

	rc = xvmc_lw_check_memfd(fd, offset, npages);
	if (rc < 0)
		goto out;
	rc = -ENOSPC;
	map = calloc(1, sizeof(*map));
	if (!map)
		goto out;
	map->npages = npages;
	map->writable = writable;
	map->addr = map_memory(len, writable ? PROT_READ | PROT_WRITE : PROT_READ,
			       fd, offset * XVMC_PAGE_SIZE);
	if (map->addr == MAP_FAILED) {
		free(map);
		goto out;
	}
	*ret_map = map;
	rc = 0;
out:
	os_close(fd);
	return rc;
}

void local_map_free(struct local_map *map)
{
	if (!map)
		return;
	xvmc_list_del(&map->node);
	munmap(map->addr, map->npages * XVMC_PAGE_SIZE);
	free(map);
}

/* Word by word, because the peer writes and our threads read meanwhile. */
static void copy_half(char *to, const char *from)
{
	for (size_t i = 0; i < HALF; i += sizeof(uint64_t)) {
		uint64_t word = __atomic_load_n((const uint64_t *)(const void *)(from + i), __ATOMIC_RELAXED);

		__atomic_store_n((uint64_t *)(void *)(to + i), word, __ATOMIC_RELAXED);
	}
}

void local_snapshot(struct local_hv *lh)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &lh->shares) {
		struct local_share *share = xvmc_list_entry(it, struct local_share, node);

		if (!share->writable || share->cut)
			continue;
		for (size_t i = 0; i < share->npages; i++)
			copy_half(share->older + i * HALF, share->addr + i * XVMC_PAGE_SIZE);
	}
}

/*
 * What the owner writes is exact: a private mapping of the same memfd shows
 * every byte written so far and takes the next one. What the peer wrote to a
 * writable page was not tracked, so it may be as old as the snapshot [X 4].
 */
static void cut_share(struct local_share *share)
{
	int rc = replace_memory(share->addr, share->npages * XVMC_PAGE_SIZE,
				PROT_READ | PROT_WRITE, share->fd);

	share->cut = true;
	if (rc < 0 || !share->writable)
		return;
	/* The first word written gives each page a copy of its own, as it is
	 * at that moment; the owner never writes to a first half. */
	for (size_t i = 0; i < share->npages; i++)
		copy_half(share->addr + i * XVMC_PAGE_SIZE, share->older + i * HALF);
}

/* Reads give 0xFF, writes go nowhere, nothing faults [X 3]. */
static void cut_map(struct local_map *map, int ff_fd)
{
	map->cut = true;
	replace_memory(map->addr, map->npages * XVMC_PAGE_SIZE,
		       map->writable ? PROT_READ | PROT_WRITE : PROT_READ, ff_fd);
}

void local_cut(struct local_hv *lh)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &lh->chans)
		atomic_store(&xvmc_list_entry(it, struct local_chan, node)->silent, true);
	xvmc_list_each(it, tmp, &lh->maps) {
		struct local_map *map = xvmc_list_entry(it, struct local_map, node);

		if (!map->cut)
			cut_map(map, lh->ff_fd);
	}
	xvmc_list_each(it, tmp, &lh->shares) {
		struct local_share *share = xvmc_list_entry(it, struct local_share, node);

		if (!share->cut)
			cut_share(share);
	}
}
