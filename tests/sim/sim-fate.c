/* SPDX-License-Identifier: MIT */
/*
 * What befalls the guests of the simulator's hypervisor: they begin, migrate
 * and die. The calls of the port itself are in sim-hv.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "sim-hv.h"

#define HALF (XVMC_PAGE_SIZE / 2)

static uint8_t *window(void)
{
	void *at = mmap(NULL, SIM_REGION_LEN, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

int sim_hv_open(struct sim_hv *w)
{
	memset(w, 0, sizeof(*w));
	for (size_t i = 0; i < 2 * SIM_OBJECTS; i++) {
		w->region[i].fd = memfd_create("sim", MFD_CLOEXEC);
		if (w->region[i].fd < 0 ||
		    ftruncate(w->region[i].fd, SIM_REGION_LEN) < 0)
			return -errno;
	}
	for (size_t i = 0; i < SIM_OBJECTS; i++) {
		w->share[i].addr = window();
		w->share[i].older = malloc(HALF);
		w->map[i].addr = window();
		if (!w->share[i].addr || !w->share[i].older || !w->map[i].addr)
			return -ENOMEM;
	}
	return 0;
}

void sim_hv_shut(struct sim_hv *w)
{
	for (size_t i = 0; i < 2 * SIM_OBJECTS; i++)
		close(w->region[i].fd);
	for (size_t i = 0; i < SIM_OBJECTS; i++) {
		munmap(w->share[i].addr, SIM_REGION_LEN);
		munmap(w->map[i].addr, SIM_REGION_LEN);
		free(w->share[i].older);
	}
}

void sim_hv_clear(struct sim_region *region, size_t byte)
{
	const uint8_t zero = 0;

	if (pwrite(region->fd, &zero, 1, (off_t)byte) != 1)
		abort();
}

static void tell(struct sim_dying *dy)
{
	sim_hv_clear(dy->region, dy->byte);
	dy->region->users--;
	dy->region = NULL;
}

/* The owner's process ends. If its guest has moved since, that says nothing
 * in the pages it left behind. */
static void die(struct sim_hv *w, struct sim_share *sh)
{
	struct sim_dying *dy = &w->dying[sh - w->share];

	sim_hv_vacate(sh->addr);
	sh->used = false;
	if (sh->kept) {
		sh->kept = false;
		return;
	}
	if (sh->clear_byte == XVMC_HV_NO_CLEAR) {
		sh->region->users--;
		return;
	}
	if (dy->region)
		tell(dy);
	*dy = (struct sim_dying){ .region = sh->region, .byte = sh->clear_byte };
	if (w->rng && sim_chance(w->rng, 500))
		dy->wait = (unsigned int)sim_below(w->rng, 50);
	else
		tell(dy);
}

void sim_hv_reset(struct sim_hv *w, struct sim_rng *rng)
{
	for (unsigned int g = 0; g < SIM_GUESTS; g++) {
		sim_hv_kill(w, g);
		w->dom[g] = (struct sim_dom){ .hv.ops = &sim_hv_ops,
					      .world = w,
					      .number = g,
					      .domid = g + 1,
					      .incarnation = 1,
					      .life = 1,
					      .grants_max = 1000,
					      .ports_max = 100 };
	}
	for (size_t i = 0; i < SIM_OBJECTS; i++)
		if (w->dying[i].region)
			tell(&w->dying[i]);
	w->next_domid = SIM_GUESTS + 1;
	w->next_serial = w->next_port = 0;
	w->rng = rng;
	w->lose = w->ack_old = 0;
	w->allocs = w->fail_at = w->failed = w->lost = 0;
	w->hook = NULL;
	w->untold = false;
}

void sim_hv_snapshot(struct sim_hv *w, unsigned int guest)
{
	for (size_t i = 0; i < SIM_OBJECTS; i++) {
		struct sim_share *sh = &w->share[i];

		if (sh->used && sh->guest == guest && sh->writable &&
		    sh->life == w->dom[guest].life)
			memcpy(sh->older, sh->addr, HALF);
	}
}

/* A hole: every byte 0xFF, and nobody hears of what is written. */
static void cut_map(struct sim_map *m)
{
	int prot = m->writable ? PROT_READ | PROT_WRITE : PROT_READ;

	if (m->hole || m->kept)
		return;
	m->hole = true;
	m->region->users--;
	if (mmap(m->addr, SIM_REGION_LEN, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		abort();
	memset(m->addr, 0xff, m->npages * XVMC_PAGE_SIZE);
	mprotect(m->addr, SIM_REGION_LEN, prot);
}

/* The owner goes on with a copy; the old memory is a zombie's. */
static void cut_share(struct sim_hv *w, struct sim_share *sh)
{
	struct sim_region *old = sh->region;
	uint64_t *announce;

	if (sh->kept)
		return;
	if (old->users > 1) {
		sh->region = sim_hv_region(w);
		if (pwrite(sh->region->fd, sh->addr,
			   sh->npages * XVMC_PAGE_SIZE, 0) !=
		    (ssize_t)(sh->npages * XVMC_PAGE_SIZE))
			abort();
		sim_hv_place(sh->addr, sh->npages, sh->region->fd, true);
		old->users--;
	}
	if (!sh->writable)
		return;
	/* Which words of the peer's came along is a matter of chance. */
	for (size_t i = 0; i < HALF; i += sizeof(uint64_t))
		if (sim_chance(w->rng, 700))
			memcpy(sh->addr + i, sh->older + i, sizeof(uint64_t));
	announce = (uint64_t *)(void *)(sh->addr +
					offsetof(struct xvmc_rpage, announce));
	if ((*announce & 3) == XVMC_ANN_ACKED && sim_chance(w->rng, w->ack_old))
		*announce ^= XVMC_ANN_ACKED ^ XVMC_ANN_ANNOUNCED;
}

void sim_hv_migrate(struct sim_hv *w, unsigned int guest, unsigned int host)
{
	struct sim_dom *d = &w->dom[guest];

	for (size_t i = 0; i < SIM_OBJECTS; i++) {
		if (w->map[i].used && w->map[i].guest == guest)
			cut_map(&w->map[i]);
		if (w->share[i].used && w->share[i].guest == guest &&
		    w->share[i].life == d->life)
			cut_share(w, &w->share[i]);
	}
	d->life++;
	d->incarnation++;
	d->domid = w->next_domid++;
	d->host = host;
}

void sim_hv_kill(struct sim_hv *w, unsigned int guest)
{
	for (size_t i = 0; i < SIM_OBJECTS; i++) {
		if (w->map[i].used && w->map[i].guest == guest)
			sim_hv_unmap(&w->map[i]);
		if (w->share[i].used && w->share[i].guest == guest)
			die(w, &w->share[i]);
	}
	for (size_t i = 0; i < 2 * SIM_OBJECTS; i++)
		if (w->chan[i].used && w->chan[i].guest == guest)
			sim_hv_chan_close(&w->chan[i]);
}

bool sim_hv_settle(struct sim_hv *w)
{
	bool waits = false;

	for (size_t i = 0; i < SIM_OBJECTS; i++) {
		struct sim_map *m = &w->map[i];

		if (!m->used || !m->hole || !m->writable)
			continue;
		memset(m->addr, 0xff, 192);
		memset(m->addr + HALF, 0xff, 128);
	}
	for (size_t i = 0; i < SIM_OBJECTS; i++) {
		struct sim_dying *dy = &w->dying[i];

		if (!dy->region)
			continue;
		if (dy->wait) {
			dy->wait--;
			waits = true;
		} else {
			tell(dy);
		}
	}
	return waits;
}

unsigned int sim_hv_held(const struct sim_hv *w, unsigned int guest)
{
	unsigned int n = sim_hv_ports(w, guest);

	for (size_t i = 0; i < SIM_OBJECTS; i++) {
		n += w->share[i].used && w->share[i].guest == guest;
		n += w->map[i].used && w->map[i].guest == guest;
	}
	return n;
}

bool sim_hv_zombie(const struct sim_hv *w, const struct xvmc_map *map)
{
	const struct sim_map *m = map->priv;

	return !m->hole && !m->kept && m->owner_life != w->dom[m->owner].life;
}
