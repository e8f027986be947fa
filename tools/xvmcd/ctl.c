/* SPDX-License-Identifier: MIT */
/*
 * Page 0 has the indices, each written by one side only; then come the pages
 * of each direction, as one ring of bytes. Frames may wrap.
 */
#include "ctl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SIZE ((uint64_t)CTL_DIR_PAGES * 4096u)
#define QUEUE_MAX (1u << 20)

struct line {
	uint64_t word;
	uint8_t rest[56];
};

struct page0 {
	struct line nonce;   /* the leader's; a lost mapping does not show it */
	struct line prod[2]; /* by direction: 0 is from the leader */
	struct line cons[2];
};

struct header {
	uint32_t len; /* of the body */
	uint32_t agent;
};

struct ctl {
	struct xvmc_hv *hv;
	bool leader;
	struct xvmc_share share;
	struct xvmc_map map;
	struct xvmc_chan chan;
	struct page0 *p0;
	uint8_t *ring[2];
	uint64_t nonce;
	uint64_t prod, cons; /* of what we write; of what we read */
	uint8_t *queue;      /* frames that wait for room */
	size_t queued;
};

static unsigned int out_dir(const struct ctl *ctl)
{
	return ctl->leader ? 0 : 1;
}

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

static void place(struct ctl *ctl, void *addr)
{
	ctl->p0 = addr;
	ctl->ring[0] = (uint8_t *)addr + 4096;
	ctl->ring[1] = ctl->ring[0] + SIZE;
}

int ctl_share(struct xvmc_hv *hv, uint32_t peer, struct ctl **ret_ctl,
	      uint32_t *ret_grefs, uint32_t *ret_port)
{
	struct ctl *ctl = calloc(1, sizeof(*ctl));
	int rc;

	if (!ctl)
		return -ENOMEM;
	ctl->hv = hv;
	ctl->leader = true;
	rc = xvmc_hv_share(hv, peer, CTL_PAGES, true, &ctl->share, ret_grefs);
	if (rc == 0) {
		rc = xvmc_hv_chan_alloc(hv, peer, &ctl->chan);
		if (rc < 0)
			xvmc_hv_unshare(hv, &ctl->share);
	}
	if (rc == 0 && getrandom(&ctl->nonce, sizeof(ctl->nonce), 0) < 0)
		ctl->nonce = (uintptr_t)ctl;
	if (rc < 0) {
		free(ctl);
		return rc;
	}
	ctl->nonce &= UINT64_MAX >> 1;
	place(ctl, ctl->share.addr);
	ctl->p0->nonce.word = ctl->nonce;
	*ret_port = ctl->chan.port;
	*ret_ctl = ctl;
	return 0;
}

int ctl_map(struct xvmc_hv *hv, uint32_t peer, const uint32_t *grefs,
	    uint32_t port, struct ctl **ret_ctl)
{
	struct ctl *ctl = calloc(1, sizeof(*ctl));
	int rc;

	if (!ctl)
		return -ENOMEM;
	ctl->hv = hv;
	rc = xvmc_hv_map(hv, peer, grefs, CTL_PAGES, true, XVMC_HV_NO_CLEAR, &ctl->map);
	if (rc == 0) {
		rc = xvmc_hv_chan_bind(hv, peer, port, &ctl->chan);
		if (rc < 0)
			xvmc_hv_unmap(hv, &ctl->map);
	}
	if (rc < 0) {
		free(ctl);
		return rc;
	}
	place(ctl, ctl->map.addr);
	ctl->nonce = load(&ctl->p0->nonce.word);
	*ret_ctl = ctl;
	return 0;
}

void ctl_free(struct ctl *ctl)
{
	if (!ctl)
		return;
	xvmc_hv_chan_close(ctl->hv, &ctl->chan);
	if (ctl->leader)
		xvmc_hv_unshare(ctl->hv, &ctl->share);
	else
		xvmc_hv_unmap(ctl->hv, &ctl->map);
	free(ctl->queue);
	free(ctl);
}

int ctl_fd(const struct ctl *ctl)
{
	return ctl->chan.wait_fd;
}

/* ---- out ---- */

static void write_at(uint8_t *ring, uint64_t pos, const void *from, size_t n)
{
	size_t at = (size_t)(pos % SIZE), first = n < SIZE - at ? n : (size_t)(SIZE - at);

	memcpy(ring + at, from, first);
	memcpy(ring, (const uint8_t *)from + first, n - first);
}

/* Bytes as they fit; the reader puts frames together again. */
static size_t put(struct ctl *ctl, const void *buf, size_t len)
{
	unsigned int dir = out_dir(ctl);
	uint64_t used = ctl->prod - load(&ctl->p0->cons[dir].word);
	size_t room = used > SIZE ? 0 : (size_t)(SIZE - used);
	size_t n = len < room ? len : room;

	write_at(ctl->ring[dir], ctl->prod, buf, n);
	ctl->prod += n;
	__atomic_store_n(&ctl->p0->prod[dir].word, ctl->prod, __ATOMIC_SEQ_CST);
	return n;
}

static void flush(struct ctl *ctl)
{
	size_t n;

	if (ctl->queued == 0)
		return;
	n = put(ctl, ctl->queue, ctl->queued);
	ctl->queued -= n;
	memmove(ctl->queue, ctl->queue + n, ctl->queued);
	if (n > 0)
		xvmc_hv_notify(ctl->hv, &ctl->chan);
}

int ctl_send(struct ctl *ctl, uint32_t agent, const void *body, size_t len)
{
	struct header h = { .len = (uint32_t)len, .agent = agent };
	uint8_t *more;

	if (len > CTL_BODY_MAX)
		return -EMSGSIZE;
	if (ctl->queued + sizeof(h) + len > QUEUE_MAX)
		return -ENOBUFS;
	more = realloc(ctl->queue, ctl->queued + sizeof(h) + len);
	if (!more)
		return -ENOMEM;
	ctl->queue = more;
	memcpy(more + ctl->queued, &h, sizeof(h));
	memcpy(more + ctl->queued + sizeof(h), body, len);
	ctl->queued += sizeof(h) + len;
	flush(ctl);
	return 0;
}

/* ---- in ---- */

static void read_at(const uint8_t *ring, uint64_t pos, void *to, size_t n)
{
	size_t at = (size_t)(pos % SIZE), first = n < SIZE - at ? n : (size_t)(SIZE - at);

	memcpy(to, ring + at, first);
	memcpy((uint8_t *)to + first, ring, n - first);
}

void ctl_ack(struct ctl *ctl)
{
	xvmc_hv_chan_ack(ctl->hv, &ctl->chan);
	flush(ctl);
}

int ctl_recv(struct ctl *ctl, uint32_t *ret_agent, void *ret_body, size_t *ret_len)
{
	unsigned int dir = !out_dir(ctl);
	uint64_t have = load(&ctl->p0->prod[dir].word) - ctl->cons;
	struct header h;

	if (have > SIZE)
		return -EPROTO;
	if (have < sizeof(h))
		return 0;
	read_at(ctl->ring[dir], ctl->cons, &h, sizeof(h));
	if (h.len > CTL_BODY_MAX)
		return -EPROTO;
	if (have < sizeof(h) + h.len)
		return 0;
	read_at(ctl->ring[dir], ctl->cons + sizeof(h), ret_body, h.len);
	/* After the copy: the mapping may have gone in the middle of it [X 3]. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (load(&ctl->p0->nonce.word) != ctl->nonce)
		return -EPROTO;
	ctl->cons += sizeof(h) + h.len;
	__atomic_store_n(&ctl->p0->cons[dir].word, ctl->cons, __ATOMIC_RELEASE);
	/* The other side may wait for room. */
	if (have > SIZE / 2)
		xvmc_hv_notify(ctl->hv, &ctl->chan);
	*ret_agent = h.agent;
	*ret_len = h.len;
	return 1;
}
