/* SPDX-License-Identifier: MIT */
/*
 * The simulator's hypervisor. See sim-hv.h.
 */
#include "sim-hv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HALF (XVMC_PAGE_SIZE / 2)

static struct sim_dom *dom_of(struct xvmc_hv *hv)
{
	return (struct sim_dom *)hv;
}

static void place(uint8_t *at, size_t npages, int fd, bool writable)
{
	int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;

	if (mmap(at, npages * XVMC_PAGE_SIZE, prot, MAP_SHARED | MAP_FIXED, fd,
		 0) == MAP_FAILED)
		abort();
}

/* Nothing behind it: whoever touches it after releasing it faults. */
static void vacate(uint8_t *at)
{
	if (mmap(at, SIM_REGION_LEN, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		abort();
}

static struct sim_region *region_new(struct sim_hv *w)
{
	for (size_t i = 0; i < 2 * SIM_OBJECTS; i++) {
		struct sim_region *reg = &w->region[i];

		if (reg->users)
			continue;
		reg->users = 1;
		return reg;
	}
	abort();
}

/* 0, or the error that is to be injected here. */
static int refuse(struct sim_hv *w, int err)
{
	if (++w->allocs != w->fail_at)
		return 0;
	w->failed++;
	return sim_chance(w->rng, 300) ? -EMFILE : err;
}

static unsigned int pages_granted(const struct sim_hv *w, unsigned int guest)
{
	unsigned int n = 0;

	for (size_t i = 0; i < SIM_OBJECTS; i++)
		if (w->share[i].used && w->share[i].guest == guest)
			n += (unsigned int)w->share[i].npages;
	return n;
}

static unsigned int ports_used(const struct sim_hv *w, unsigned int guest)
{
	unsigned int n = 0;

	for (size_t i = 0; i < 2 * SIM_OBJECTS; i++)
		n += w->chan[i].used && w->chan[i].guest == guest;
	return n;
}

/* The guest with this domid, other than ours; SIM_GUESTS: there is none. */
static unsigned int find_dom(const struct sim_hv *w, const struct sim_dom *self,
			     xvmc_domid_t domid)
{
	unsigned int g = !self->number;

	return w->dom[g].domid == domid && w->dom[g].host == self->host ?
		       g : SIM_GUESTS;
}

static int op_share(struct xvmc_hv *hv, xvmc_domid_t peer, size_t npages,
		    bool writable, struct xvmc_share *ret_share,
		    xvmc_gref_t *ret_grefs)
{
	struct sim_dom *d = dom_of(hv);
	struct sim_hv *w = d->world;
	struct sim_share *sh = w->share;
	int r = refuse(w, -ENOSPC);

	if (r < 0)
		return r;
	if (npages == 0 || npages > SIM_REGION_PAGES)
		return -EINVAL;
	if (pages_granted(w, d->number) + npages > d->grants_max)
		return -ENOSPC;
	while (sh->used)
		if (++sh == w->share + SIM_OBJECTS)
			return -ENOSPC;
	sh->used = true;
	sh->guest = d->number;
	sh->peer = find_dom(w, d, peer);
	sh->life = d->life;
	sh->serial = ++w->next_serial;
	sh->region = region_new(w);
	sh->npages = npages;
	sh->writable = writable;
	sh->clear_byte = XVMC_HV_NO_CLEAR;
	place(sh->addr, npages, sh->region->fd, true);
	memset(sh->addr, 0, npages * XVMC_PAGE_SIZE);
	memset(sh->older, 0, HALF);
	for (size_t i = 0; i < npages; i++)
		ret_grefs[i] = sh->serial * 8 + (uint32_t)i;
	*ret_share = (struct xvmc_share){ .addr = sh->addr, .npages = npages,
					  .writable = writable, .priv = sh };
	return 0;
}

static void op_unshare(struct xvmc_hv *hv, struct xvmc_share *share)
{
	struct sim_share *sh = share->priv;

	if (!sh->used || sh->guest != dom_of(hv)->number)
		abort();
	vacate(sh->addr);
	sh->region->users--;
	sh->used = false;
	memset(share, 0, sizeof(*share));
}

static int op_owner_clear(struct xvmc_hv *hv, struct xvmc_share *share,
			  size_t byte)
{
	struct sim_share *sh = share->priv;

	if (dom_of(hv)->world->untold)
		return -EOPNOTSUPP;
	sh->clear_byte = byte;
	return 0;
}

static struct sim_share *find_grants(struct sim_hv *w, const struct sim_dom *d,
				     unsigned int owner, const xvmc_gref_t *grefs,
				     size_t n)
{
	for (size_t i = 0; i < SIM_OBJECTS; i++) {
		struct sim_share *sh = &w->share[i];

		if (!sh->used || sh->guest != owner || sh->peer != d->number ||
		    sh->life != w->dom[owner].life || sh->npages != n ||
		    sh->serial != grefs[0] / 8)
			continue;
		for (size_t k = 0; k < n; k++)
			if (grefs[k] != sh->serial * 8 + k)
				return NULL;
		return sh;
	}
	return NULL;
}

static int op_map(struct xvmc_hv *hv, xvmc_domid_t peer, const xvmc_gref_t *grefs,
		  size_t n, bool writable, size_t clear_byte,
		  struct xvmc_map *ret_map)
{
	struct sim_dom *d = dom_of(hv);
	struct sim_hv *w = d->world;
	unsigned int owner = find_dom(w, d, peer);
	struct sim_map *m = w->map;
	struct sim_share *sh;
	int r = refuse(w, -ENOSPC);

	if (r < 0)
		return r;
	if (owner == SIM_GUESTS || n == 0 || n > SIM_REGION_PAGES)
		return -ENOENT;
	sh = find_grants(w, d, owner, grefs, n);
	if (!sh)
		return -ENOENT;
	if (writable && !sh->writable)
		return -EACCES;
	while (m->used)
		if (++m == w->map + SIM_OBJECTS)
			return -ENOSPC;
	m->used = true;
	m->hole = false;
	m->guest = d->number;
	m->owner = owner;
	m->owner_life = sh->life;
	m->region = sh->region;
	m->region->users++;
	m->npages = n;
	m->clear_byte = clear_byte;
	m->writable = writable;
	place(m->addr, n, m->region->fd, writable);
	*ret_map = (struct xvmc_map){ .addr = m->addr, .npages = n,
				      .writable = writable, .priv = m };
	return 0;
}

static void unmap(struct sim_map *m)
{
	if (m->clear_byte != XVMC_HV_NO_CLEAR && !m->hole)
		m->addr[m->clear_byte] = 0;
	vacate(m->addr);
	if (!m->hole)
		m->region->users--;
	m->used = false;
}

static void op_unmap(struct xvmc_hv *hv, struct xvmc_map *map)
{
	struct sim_map *m = map->priv;

	if (!m->used || m->guest != dom_of(hv)->number)
		abort();
	unmap(m);
	memset(map, 0, sizeof(*map));
}

static struct sim_chan *chan_new(struct sim_dom *d)
{
	struct sim_hv *w = d->world;

	if (ports_used(w, d->number) >= d->ports_max)
		return NULL;
	for (size_t i = 0; i < 2 * SIM_OBJECTS; i++) {
		struct sim_chan *ch = &w->chan[i];

		if (ch->used)
			continue;
		*ch = (struct sim_chan){ .used = true, .guest = d->number,
					 .life = d->life,
					 .port = ++w->next_port };
		return ch;
	}
	return NULL;
}

static int op_chan_alloc(struct xvmc_hv *hv, xvmc_domid_t peer,
			 struct xvmc_chan *ret_chan)
{
	struct sim_dom *d = dom_of(hv);
	struct sim_chan *ch;
	int r = refuse(d->world, -ENOBUFS);

	if (r < 0)
		return r;
	ch = chan_new(d);
	if (!ch)
		return -ENOBUFS;
	*ret_chan = (struct xvmc_chan){ .wait_fd = -1, .port = ch->port,
					.self_ring = true, .priv = ch };
	return 0;
}

static int op_chan_bind(struct xvmc_hv *hv, xvmc_domid_t peer,
			xvmc_port_t peer_port, struct xvmc_chan *ret_chan)
{
	struct sim_dom *d = dom_of(hv);
	struct sim_hv *w = d->world;
	unsigned int owner = find_dom(w, d, peer);
	struct sim_chan *ch, *there = NULL;
	int r = refuse(w, -ENOBUFS);

	if (r < 0)
		return r;
	for (size_t i = 0; i < 2 * SIM_OBJECTS; i++)
		if (w->chan[i].used && w->chan[i].guest == owner &&
		    w->chan[i].port == peer_port && !w->chan[i].other &&
		    w->chan[i].life == w->dom[owner].life)
			there = &w->chan[i];
	if (!there)
		return -ENOENT;
	ch = chan_new(d);
	if (!ch)
		return -ENOBUFS;
	ch->other = there;
	ch->other_life = there->life;
	there->other = ch;
	there->other_life = ch->life;
	*ret_chan = (struct xvmc_chan){ .wait_fd = -1, .port = ch->port,
					.self_ring = true, .priv = ch };
	return 0;
}

static void chan_close(struct sim_chan *ch)
{
	if (ch->other)
		ch->other->other = NULL;
	ch->used = false;
	ch->other = NULL;
}

static void op_chan_close(struct xvmc_hv *hv, struct xvmc_chan *chan)
{
	struct sim_chan *ch = chan->priv;

	if (!ch->used || ch->guest != dom_of(hv)->number)
		abort();
	chan_close(ch);
	memset(chan, 0, sizeof(*chan));
}

static int op_notify(struct xvmc_hv *hv, struct xvmc_chan *chan)
{
	struct sim_dom *d = dom_of(hv);
	struct sim_hv *w = d->world;
	struct sim_chan *ch = chan->priv;

	if (!ch->used || ch->guest != d->number)
		abort();
	if (w->hook)
		w->hook(w->hook_arg, d->number);
	if (!ch->other || ch->life != d->life ||
	    ch->other_life != w->dom[ch->other->guest].life)
		return 0;
	if (sim_chance(w->rng, w->lose))
		w->lost++;
	else
		ch->other->signals++;
	if (w->hook)
		w->hook(w->hook_arg, d->number);
	return 0;
}

static int op_self(struct xvmc_hv *hv, struct xvmc_hv_self *ret_self)
{
	struct sim_dom *d = dom_of(hv);
	int r = refuse(d->world, -EIO);

	if (r < 0)
		return r;
	*ret_self = (struct xvmc_hv_self){ .domid = d->domid,
					   .incarnation = d->incarnation };
	return 0;
}

static uint32_t op_incarnation(struct xvmc_hv *hv)
{
	return dom_of(hv)->incarnation;
}

static void op_close(struct xvmc_hv *hv)
{
	sim_hv_kill(dom_of(hv)->world, dom_of(hv)->number);
}

static int op_event_fd(struct xvmc_hv *hv)
{
	return -1;
}

static int op_dispatch(struct xvmc_hv *hv)
{
	return 0;
}

static const struct xvmc_hv_ops sim_hv_ops = {
	.name = "sim",
	.close = op_close,
	.abandon = op_close,
	.self = op_self,
	.incarnation = op_incarnation,
	.share = op_share,
	.unshare = op_unshare,
	.map = op_map,
	.unmap = op_unmap,
	.chan_alloc = op_chan_alloc,
	.chan_bind = op_chan_bind,
	.chan_close = op_chan_close,
	.notify = op_notify,
	.event_fd = op_event_fd,
	.dispatch = op_dispatch,
	.owner_clear = op_owner_clear,
};

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

	if (m->hole)
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

	if (old->users > 1) {
		sh->region = region_new(w);
		if (pwrite(sh->region->fd, sh->addr,
			   sh->npages * XVMC_PAGE_SIZE, 0) !=
		    (ssize_t)(sh->npages * XVMC_PAGE_SIZE))
			abort();
		place(sh->addr, sh->npages, sh->region->fd, true);
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

static void tell(struct sim_dying *dy)
{
	const uint8_t zero = 0;

	if (pwrite(dy->region->fd, &zero, 1, (off_t)dy->byte) != 1)
		abort();
	dy->region->users--;
	dy->region = NULL;
}

/* The owner's process ends. If its guest has moved since, that says nothing
 * in the pages it left behind. */
static void die(struct sim_hv *w, struct sim_share *sh)
{
	struct sim_dying *dy = &w->dying[sh - w->share];

	vacate(sh->addr);
	sh->used = false;
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

void sim_hv_kill(struct sim_hv *w, unsigned int guest)
{
	for (size_t i = 0; i < SIM_OBJECTS; i++) {
		if (w->map[i].used && w->map[i].guest == guest)
			unmap(&w->map[i]);
		if (w->share[i].used && w->share[i].guest == guest)
			die(w, &w->share[i]);
	}
	for (size_t i = 0; i < 2 * SIM_OBJECTS; i++)
		if (w->chan[i].used && w->chan[i].guest == guest)
			chan_close(&w->chan[i]);
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
	unsigned int n = ports_used(w, guest);

	for (size_t i = 0; i < SIM_OBJECTS; i++) {
		n += w->share[i].used && w->share[i].guest == guest;
		n += w->map[i].used && w->map[i].guest == guest;
	}
	return n;
}

bool sim_hv_zombie(const struct sim_hv *w, const struct xvmc_map *map)
{
	const struct sim_map *m = map->priv;

	return !m->hole && m->owner_life != w->dom[m->owner].life;
}
