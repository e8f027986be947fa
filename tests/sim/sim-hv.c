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

void sim_hv_place(uint8_t *at, size_t npages, int fd, bool writable)
{
	int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;

	if (mmap(at, npages * XVMC_PAGE_SIZE, prot, MAP_SHARED | MAP_FIXED, fd,
		 0) == MAP_FAILED)
		abort();
}

/* Nothing behind it: whoever touches it after releasing it faults. */
void sim_hv_vacate(uint8_t *at)
{
	if (mmap(at, SIM_REGION_LEN, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
		 0) == MAP_FAILED)
		abort();
}

struct sim_region *sim_hv_region(struct sim_hv *w)
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

/* Private memory moves in. An allocation, for the kernel may have none left. */
static int take_place(struct sim_hv *w, uint8_t *at, void *with, size_t npages)
{
	int r = refuse(w, -ENOMEM);

	return r < 0 ? r : xvmc_hv_replace(at, with, npages);
}

static unsigned int pages_granted(const struct sim_hv *w, unsigned int guest)
{
	unsigned int n = 0;

	for (size_t i = 0; i < SIM_OBJECTS; i++)
		if (w->share[i].used && !w->share[i].kept && w->share[i].guest == guest)
			n += (unsigned int)w->share[i].npages;
	return n;
}

unsigned int sim_hv_ports(const struct sim_hv *w, unsigned int guest)
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
	sh->peer_life = sh->peer < SIM_GUESTS ? w->dom[sh->peer].life : 0;
	sh->serial = ++w->next_serial;
	sh->region = sim_hv_region(w);
	sh->npages = npages;
	sh->writable = writable;
	sh->clear_byte = XVMC_HV_NO_CLEAR;
	sim_hv_place(sh->addr, npages, sh->region->fd, true);
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
	sim_hv_vacate(sh->addr);
	if (!sh->kept)
		sh->region->users--;
	sh->used = sh->kept = false;
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

		if (!sh->used || sh->kept || sh->guest != owner || sh->peer != d->number ||
		    sh->peer_life != d->life ||
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
	sim_hv_place(m->addr, n, m->region->fd, writable);
	*ret_map = (struct xvmc_map){ .addr = m->addr, .npages = n,
				      .writable = writable, .priv = m };
	return 0;
}

void sim_hv_unmap(struct sim_map *m)
{
	bool theirs = !m->hole && !m->kept;

	if (m->clear_byte != XVMC_HV_NO_CLEAR && theirs)
		m->addr[m->clear_byte] = 0;
	sim_hv_vacate(m->addr);
	if (theirs)
		m->region->users--;
	m->used = m->kept = false;
}

static void op_unmap(struct xvmc_hv *hv, struct xvmc_map *map)
{
	struct sim_map *m = map->priv;

	if (!m->used || m->guest != dom_of(hv)->number)
		abort();
	sim_hv_unmap(m);
	memset(map, 0, sizeof(*map));
}

static int op_keep_share(struct xvmc_hv *hv, struct xvmc_share *share, void *with)
{
	struct sim_share *sh = share->priv;
	int r = take_place(dom_of(hv)->world, sh->addr, with, sh->npages);

	if (r < 0)
		return r;
	if (sh->kept)
		return 0;
	/* One kernel takes the page for its owner's end, another does not. */
	if (sh->clear_byte != XVMC_HV_NO_CLEAR && sim_chance(dom_of(hv)->world->rng, 500))
		sim_hv_clear(sh->region, sh->clear_byte);
	sh->region->users--;
	sh->kept = true;
	return 0;
}

static int op_keep_map(struct xvmc_hv *hv, struct xvmc_map *map, void *with)
{
	struct sim_map *m = map->priv;
	int r = take_place(dom_of(hv)->world, m->addr, with, m->npages);

	if (r < 0)
		return r;
	if (!m->hole && !m->kept)
		m->region->users--;
	m->hole = false;
	m->kept = true;
	return 0;
}

static struct sim_chan *chan_new(struct sim_dom *d)
{
	struct sim_hv *w = d->world;

	if (sim_hv_ports(w, d->number) >= d->ports_max)
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

void sim_hv_chan_close(struct sim_chan *ch)
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
	sim_hv_chan_close(ch);
	memset(chan, 0, sizeof(*chan));
}

static void op_chan_hush(struct xvmc_hv *hv, struct xvmc_chan *chan)
{
	struct sim_chan *ch = chan->priv;

	if (!ch->used || ch->guest != dom_of(hv)->number)
		abort();
	if (ch->other)
		ch->other->other = NULL;
	ch->other = NULL;
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

const struct xvmc_hv_ops sim_hv_ops = {
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
	.keep_share = op_keep_share,
	.keep_map = op_keep_map,
	.chan_hush = op_chan_hush,
	.notify = op_notify,
	.event_fd = op_event_fd,
	.dispatch = op_dispatch,
	.owner_clear = op_owner_clear,
};
