/* SPDX-License-Identifier: MIT */
/*
 * The writing end of a ring [S 5]. Knows nothing of sockets or sleeping.
 */
#include "sender.h"

#include <errno.h>

/* Publish at least this often within one large write, so that the reader
 * copies out while we still copy in. */
#define CHUNK (32u * 1024u)

void xvmc_sender_init(struct sender_t *tx, struct xvmc_spage *s,
		      struct xvmc_rpage *r, uint8_t *data, unsigned int order,
		      const uint8_t nonce[XVMC_NONCE_LEN])
{
	*tx = (struct sender_t){
		.s = s,
		.r = r,
		.data = data,
		.size = (uint64_t)XVMC_PAGE_SIZE << order,
	};
	memcpy(tx->nonce, nonce, XVMC_NONCE_LEN);
	s->magic = XVMC_SPAGE_MAGIC;
	s->version = XVMC_ABI_VERSION;
	s->order = order;
	/* The peer maps the pages only after it was told of them, by a
	 * message: no barrier is needed here. */
	memcpy(s->nonce, nonce, XVMC_NONCE_LEN);
}

void xvmc_sender_start(struct sender_t *tx, uint64_t pos)
{
	tx->prod = pos;
	tx->known = pos;
	tx->rung = 0;
	ring_disarm_room(tx->s);
	ring_publish(tx->s, pos);
}

int xvmc_sender_look(struct sender_t *tx)
{
	uint64_t cons = ring_see_cons(tx->r);

	/* A cons that lies back is old, not wrong: after a migration our copy
	 * of the R-page may be [X 4]. One ahead of prod is a lie. */
	if (cons > tx->prod)
		return -EPROTO;
	if (cons > tx->known)
		tx->known = cons;
	return 0;
}

ssize_t xvmc_sender_room(struct sender_t *tx, size_t want)
{
	uint64_t room = tx->size - (tx->prod - tx->known);

	if (room < want) {
		int r = xvmc_sender_look(tx);

		if (r < 0)
			return r;
		room = tx->size - (tx->prod - tx->known);
	}
	return (ssize_t)room;
}

static bool published(struct sender_t *tx)
{
	uint64_t at;

	ring_publish(tx->s, tx->prod);
	at = ring_data_at_after_publish(tx->r);
	if (at == 0 || at == tx->rung)
		return false;
	if (tx->prod < at) {
		if (at == XVMC_POS_NONE)
			tx->forsaken = true;
		return false;
	}
	tx->rung = at;
	return true;
}

ssize_t xvmc_sender_write(struct sender_t *tx, struct xvmc_iov *it, size_t max,
			  bool *ret_ring)
{
	size_t done = 0;
	ssize_t room;

	if (max > it->left)
		max = it->left;
	room = xvmc_sender_room(tx, max);
	if (room < 0)
		return room;
	if (max > (size_t)room)
		max = (size_t)room;
	while (done < max) {
		size_t at = tx->prod & (tx->size - 1);
		size_t n = max - done;

		if (n > tx->size - at)
			n = tx->size - at;
		if (n > CHUNK)
			n = CHUNK;
		xvmc_iov_get(it, tx->data + at, n);
		tx->prod += n;
		done += n;
		if (published(tx))
			*ret_ring = true;
	}
	return (ssize_t)done;
}

bool xvmc_sender_arm(struct sender_t *tx, size_t want)
{
	if (want > tx->size / 2)
		want = tx->size / 2;
	ring_arm_room(tx->s, tx->prod + want - tx->size);
	if (xvmc_sender_look(tx) < 0)
		return true; /* let the writer find the error */
	return tx->size - (tx->prod - tx->known) >= want;
}

bool xvmc_sender_validate(const struct sender_t *tx)
{
	return tx->s && tx->r && tx->data && tx->size >= XVMC_PAGE_SIZE &&
	       (tx->size & (tx->size - 1)) == 0 && tx->known <= tx->prod &&
	       tx->prod - tx->known <= tx->size;
}
