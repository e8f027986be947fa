/* SPDX-License-Identifier: MIT */
/*
 * What processes ask of the pretended machine. Grants, mappings and ports are
 * objects with a number, found through one table; each hangs on the process
 * that made it, so that its end takes them along.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "local-host-own.h"
#include "local-wire.h"

/* A gref is a grant's number and a page's index in it. */
#define GREF_SHIFT 10
static_assert(XVMC_LW_PAGES_MAX == 1u << GREF_SHIFT, "gref");
#define GRANT_MAX (UINT32_MAX >> GREF_SHIFT)

struct obj {
	struct xvmc_list hash; /* of a bucket */
	struct xvmc_list node; /* of the client's */
	struct xvmc_lh_client *client;
	enum kind kind;
	uint32_t number;
};

/* A memfd outlives its grant while a mapping has a byte to clear. */
struct memory {
	int fd;
	uint32_t refs;
};

struct grant {
	struct obj obj;
	struct memory *memory;
	uint32_t domid, peer;
	uint32_t npages;
	bool writable;
	bool owner_clear; /* clear_at when the owner ends */
	uint32_t clear_at;
};

struct map {
	struct obj obj;
	struct memory *memory; /* only with a byte to clear */
	uint64_t clear_at;     /* offset in the memfd */
};

struct port {
	struct obj obj;
	uint32_t domid, peer;
	int fds[2]; /* kept until it is bound */
	bool bound;
};

/* ---- numbered objects ---- */

static struct xvmc_list *bucket(struct xvmc_lh *lh, enum kind kind,
				uint32_t number)
{
	return &lh->bucket[(number * 2654435761u + kind) % LH_BUCKETS];
}

static void *find(struct xvmc_lh *lh, enum kind kind, uint32_t number)
{
	struct xvmc_list *head = bucket(lh, kind, number), *it, *tmp;

	xvmc_list_each(it, tmp, head) {
		struct obj *obj = xvmc_list_entry(it, struct obj, hash);

		if (obj->kind == kind && obj->number == number)
			return obj;
	}
	return NULL;
}

static void *find_own(struct xvmc_lh *lh, enum kind kind, uint32_t number,
		      const struct xvmc_lh_client *client)
{
	struct obj *obj = find(lh, kind, number);

	return obj && obj->client == client ? obj : NULL;
}

/* Numbers go up and come back only after all others, so that a late word
 * about an old one meets nothing. */
static void obj_add(struct xvmc_lh *lh, struct obj *obj, enum kind kind,
		    struct xvmc_lh_client *client, struct xvmc_list *head)
{
	const uint32_t max = kind == GRANT ? GRANT_MAX : UINT32_MAX;

	do {
		obj->number = lh->next[kind];
		lh->next[kind] = obj->number < max ? obj->number + 1 : 1;
	} while (find(lh, kind, obj->number));
	obj->kind = kind;
	obj->client = client;
	xvmc_list_add(bucket(lh, kind, obj->number), &obj->hash);
	xvmc_list_add(head, &obj->node);
}

static void obj_del(struct obj *obj)
{
	xvmc_list_del(&obj->hash);
	xvmc_list_del(&obj->node);
}

static void memory_put(struct memory *memory)
{
	if (!memory || --memory->refs > 0)
		return;
	os_close(memory->fd);
	free(memory);
}

static void grant_free(struct xvmc_lh *lh, struct grant *grant, bool clear)
{
	const char zero = 0;

	if (clear && grant->owner_clear)
		OS4(SYS_pwrite64, grant->memory->fd, &zero, 1, grant->clear_at);
	obj_del(&grant->obj);
	grant->obj.client->dom->ngrants -= grant->npages;
	lh->ngrants--;
	memory_put(grant->memory);
	free(grant);
}

static void map_free(struct map *map, bool clear)
{
	const char zero = 0;

	obj_del(&map->obj);
	map->obj.client->dom->nmaps--;
	if (clear && map->memory)
		OS4(SYS_pwrite64, map->memory->fd, &zero, 1, map->clear_at);
	memory_put(map->memory);
	free(map);
}

static void port_free(struct port *port)
{
	obj_del(&port->obj);
	port->obj.client->dom->nports--;
	for (int i = 0; i < 2; i++)
		if (port->fds[i] >= 0)
			os_close(port->fds[i]);
	free(port);
}

void lh_client_drop(struct xvmc_lh *lh, struct xvmc_lh_client *client, bool clear)
{
	struct xvmc_list *it, *tmp;

	xvmc_list_each(it, tmp, &client->grants)
		grant_free(lh, xvmc_list_entry(it, struct grant, obj.node), clear);
	xvmc_list_each(it, tmp, &client->maps)
		map_free(xvmc_list_entry(it, struct map, obj.node), clear);
	xvmc_list_each(it, tmp, &client->ports)
		port_free(xvmc_list_entry(it, struct port, obj.node));
}

/* ---- a process's calls ---- */

void xvmc_lh_client_init(struct xvmc_lh_client *client,
			 struct xvmc_lh_dom *dom)
{
	client->dom = dom;
	xvmc_list_init(&client->grants);
	xvmc_list_init(&client->maps);
	xvmc_list_init(&client->ports);
	xvmc_list_add(&dom->clients, &client->node);
	xvmc_lh_dom_use(dom);
}

void xvmc_lh_client_end(struct xvmc_lh *lh, struct xvmc_lh_client *client)
{
	lh_client_drop(lh, client, true);
	xvmc_list_del(&client->node);
	xvmc_lh_dom_unuse(lh, client->dom);
}

/* The domain of that domid, if it is on the client's host. */
static struct xvmc_lh_dom *neighbour(struct xvmc_lh *lh,
				     const struct xvmc_lh_client *client,
				     uint32_t domid)
{
	for (unsigned int i = 0; i < XVMC_BOARD_DOMS; i++)
		if (lh->slot[i] && lh->slot[i]->domid == domid)
			return lh->slot[i]->host == client->dom->host ?
				       lh->slot[i] :
				       NULL;
	return NULL;
}

int xvmc_lh_grant(struct xvmc_lh *lh, struct xvmc_lh_client *client,
		  uint32_t peer, uint32_t npages, bool writable, int fd,
		  uint32_t *ret_gref)
{
	struct xvmc_lh_dom *dom = client->dom;
	struct memory *memory;
	struct grant *grant;

	if (npages == 0 || npages > XVMC_LW_PAGES_MAX)
		return -EINVAL;
	if (!neighbour(lh, client, peer))
		return -ENOENT;
	if (npages > lh->limits.max_grants - dom->ngrants || lh->ngrants == GRANT_MAX)
		return -ENOSPC;
	grant = calloc(1, sizeof(*grant));
	memory = calloc(1, sizeof(*memory));
	if (!grant || !memory) {
		free(grant);
		free(memory);
		return -ENOMEM;
	}
	memory->fd = fd;
	memory->refs = 1;
	grant->memory = memory;
	grant->domid = dom->domid;
	grant->peer = peer;
	grant->npages = npages;
	grant->writable = writable;
	obj_add(lh, &grant->obj, GRANT, client, &client->grants);
	dom->ngrants += npages;
	lh->ngrants++;
	*ret_gref = grant->obj.number << GREF_SHIFT;
	return 0;
}

int xvmc_lh_ungrant(struct xvmc_lh *lh, struct xvmc_lh_client *client,
		    uint32_t gref)
{
	struct grant *grant = find_own(lh, GRANT, gref >> GREF_SHIFT, client);

	if (!grant)
		return -ENOENT;
	grant_free(lh, grant, false);
	return 0;
}

int xvmc_lh_owner_clear(struct xvmc_lh *lh, struct xvmc_lh_client *client,
			uint32_t gref, uint32_t byte)
{
	struct grant *grant = find_own(lh, GRANT, gref >> GREF_SHIFT, client);

	if (!grant)
		return -ENOENT;
	if (!grant->writable || byte >= grant->npages * XVMC_PAGE_SIZE)
		return -EINVAL;
	grant->owner_clear = true;
	grant->clear_at = byte;
	return 0;
}

/* The grant behind npages grefs from gref on, if the client may map it. */
static int may_map(struct xvmc_lh *lh, const struct xvmc_lh_client *client,
		   uint32_t granter, uint32_t gref, uint32_t npages,
		   bool writable, struct grant **ret_grant)
{
	uint32_t first = gref & (XVMC_LW_PAGES_MAX - 1);
	struct grant *grant;

	if (!neighbour(lh, client, granter))
		return -ENOENT;
	grant = find(lh, GRANT, gref >> GREF_SHIFT);
	if (!grant || grant->domid != granter || npages == 0 ||
	    first >= grant->npages || npages > grant->npages - first)
		return -ENOENT;
	if (grant->peer != client->dom->domid || (writable && !grant->writable))
		return -EACCES;
	*ret_grant = grant;
	return 0;
}

int xvmc_lh_map(struct xvmc_lh *lh, struct xvmc_lh_client *client,
		uint32_t granter, uint32_t gref, uint32_t npages,
		bool writable, uint64_t clear_byte,
		struct xvmc_lh_mapping *ret_mapping)
{
	struct grant *grant;
	struct map *map;
	uint32_t offset;
	int rc;

	rc = may_map(lh, client, granter, gref, npages, writable, &grant);
	if (rc < 0)
		return rc;
	if (clear_byte != UINT64_MAX &&
	    (!writable || clear_byte >= (uint64_t)npages * XVMC_PAGE_SIZE))
		return -EINVAL;
	if (client->dom->nmaps >= lh->limits.max_grants)
		return -ENOSPC;
	map = calloc(1, sizeof(*map));
	if (!map)
		return -ENOMEM;
	client->dom->nmaps++;
	offset = gref & (XVMC_LW_PAGES_MAX - 1);
	if (clear_byte != UINT64_MAX) {
		map->clear_at = (uint64_t)offset * XVMC_PAGE_SIZE + clear_byte;
		map->memory = grant->memory;
		map->memory->refs++;
	}
	obj_add(lh, &map->obj, MAP, client, &client->maps);
	*ret_mapping = (struct xvmc_lh_mapping){ .number = map->obj.number,
						 .offset = offset,
						 .fd = grant->memory->fd };
	return 0;
}

int xvmc_lh_unmap(struct xvmc_lh *lh, struct xvmc_lh_client *client,
		  uint32_t number, bool clear)
{
	struct map *map = find_own(lh, MAP, number, client);

	if (!map)
		return -ENOENT;
	map_free(map, clear);
	return 0;
}

static int port_new(struct xvmc_lh *lh, struct xvmc_lh_client *client,
		    uint32_t peer, struct port **ret_port)
{
	struct port *port;

	if (client->dom->nports >= lh->limits.max_ports)
		return -ENOBUFS;
	port = calloc(1, sizeof(*port));
	if (!port)
		return -ENOMEM;
	port->domid = client->dom->domid;
	port->peer = peer;
	port->fds[0] = port->fds[1] = -1;
	obj_add(lh, &port->obj, PORT, client, &client->ports);
	client->dom->nports++;
	*ret_port = port;
	return 0;
}

int xvmc_lh_chan_alloc(struct xvmc_lh *lh, struct xvmc_lh_client *client,
		       uint32_t peer, const int fds[2],
		       struct xvmc_lh_channel *ret_channel)
{
	struct xvmc_lh_dom *dom = neighbour(lh, client, peer);
	struct port *port;
	int rc;

	if (!dom)
		return -ENOENT;
	rc = port_new(lh, client, peer, &port);
	if (rc < 0)
		return rc;
	memcpy(port->fds, fds, sizeof(port->fds));
	*ret_channel = (struct xvmc_lh_channel){ .port = port->obj.number,
						 .peer_slot = dom->slot,
						 .fds = { fds[0], fds[1] } };
	return 0;
}

int xvmc_lh_chan_bind(struct xvmc_lh *lh, struct xvmc_lh_client *client,
		      uint32_t peer, uint32_t peer_port,
		      struct xvmc_lh_channel *ret_channel)
{
	struct xvmc_lh_dom *dom = neighbour(lh, client, peer);
	struct port *theirs = find(lh, PORT, peer_port), *ours;
	int rc;

	if (!dom || !theirs || theirs->domid != peer || theirs->bound)
		return -ENOENT;
	if (theirs->peer != client->dom->domid)
		return -EACCES;
	rc = port_new(lh, client, peer, &ours);
	if (rc < 0)
		return rc;
	*ret_channel = (struct xvmc_lh_channel){ .port = ours->obj.number,
						 .peer_slot = dom->slot,
						 .fds = { theirs->fds[1], theirs->fds[0] } };
	theirs->fds[0] = theirs->fds[1] = -1;
	theirs->bound = ours->bound = true;
	return 0;
}

int xvmc_lh_chan_close(struct xvmc_lh *lh, struct xvmc_lh_client *client,
		       uint32_t port_number)
{
	struct port *port = find_own(lh, PORT, port_number, client);

	if (!port)
		return -ENOENT;
	port_free(port);
	return 0;
}
