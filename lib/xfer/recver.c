/* SPDX-License-Identifier: MIT */
/*
 * The reading end of a ring [S 5]. Knows nothing of sockets or sleeping.
 */
#include "recver.h"

#include <errno.h>

/* Give room back at least this often within one large read. */
#define CHUNK (32u * 1024u)

int xvmc_recver_init(struct recver_t *rx, const struct xvmc_spage *s,
		     struct xvmc_rpage *r, const uint8_t *data,
		     unsigned int order, const uint8_t nonce[XVMC_NONCE_LEN])
{
	*rx = (struct recver_t){
		.s = s,
		.r = r,
		.data = data,
		.size = (uint64_t)XVMC_PAGE_SIZE << order,
	};
	memcpy(rx->nonce, nonce, XVMC_NONCE_LEN);
	if (!ring_nonce_matches(s, nonce))
		return -ESTALE;
	return ring_is_as_offered(s, order) ? 0 : -EPROTO;
}

void xvmc_recver_start(struct recver_t *rx, uint64_t pos)
{
	rx->cons = pos;
	rx->prod = pos;
	rx->rung = 0;
	ring_disarm_data(rx->r);
	ring_release(rx->r, pos);
}

static int look(struct recver_t *rx)
{
	uint64_t prod = ring_see_prod(rx->s);

	/* One that lies back is no lie: the ring's last use left it there, and
	 * the sender migrated before it could publish this one's beginning. */
	if (prod <= rx->prod)
		return 0;
	if (prod - rx->cons > rx->size)
		return ring_nonce_matches(rx->s, rx->nonce) ? -EPROTO : -ESTALE;
	rx->prod = prod;
	return 0;
}

ssize_t xvmc_recver_avail(struct recver_t *rx, size_t want)
{
	if (rx->prod - rx->cons < want) {
		int r = look(rx);

		if (r < 0)
			return r;
	}
	return (ssize_t)(rx->prod - rx->cons);
}

static bool released(struct recver_t *rx)
{
	uint64_t at;

	ring_release(rx->r, rx->cons);
	at = ring_room_at_after_release(rx->s);
	if (at == 0 || at == rx->rung || rx->cons < at)
		return false;
	rx->rung = at;
	return true;
}

ssize_t xvmc_recver_read(struct recver_t *rx, struct xvmc_iov *it, size_t max,
			 bool peek, bool *ret_ring)
{
	uint64_t pos = rx->cons;
	ssize_t avail;
	size_t done = 0;

	if (max > it->left)
		max = it->left;
	avail = xvmc_recver_avail(rx, max);
	if (avail < 0)
		return avail;
	if (max > (size_t)avail)
		max = (size_t)avail;
	while (done < max) {
		size_t at = pos & (rx->size - 1);
		size_t n = max - done;
		struct xvmc_iov to = *it;

		if (n > rx->size - at)
			n = rx->size - at;
		if (n > CHUNK)
			n = CHUNK;
		xvmc_iov_put(&to, rx->data + at, n);
		if (!ring_nonce_matches(rx->s, rx->nonce)) /* B4 */
			return done && !peek ? (ssize_t)done : -ESTALE;
		*it = to;
		pos += n;
		done += n;
		if (peek)
			continue;
		rx->cons = pos;
		if (released(rx))
			*ret_ring = true;
	}
	return (ssize_t)done;
}

bool xvmc_recver_arm(struct recver_t *rx, size_t want)
{
	ring_arm_data(rx->r, rx->cons + want);
	if (look(rx) < 0)
		return true; /* let the reader find the error */
	return rx->prod - rx->cons >= want;
}

int xvmc_recver_copy(const struct recver_t *rx, struct xvmc_rpage *r,
		     struct xvmc_spage *s, uint8_t *data)
{
	enum xvmc_owner owner;
	uint64_t prod;

	/* In this order: a sender that lives is told, or has published before;
	 * one that died had published all it ever would; and what is before
	 * prod is there. */
	ring_forsake(rx->r);
	owner = (enum xvmc_owner)ring_owner(rx->r);
	prod = ring_see_prod(rx->s); /* B1 */
	memcpy(r, rx->r, sizeof(*r));
	memcpy(s, rx->s, sizeof(*s));
	memcpy(data, rx->data, rx->size);
	if (!ring_nonce_matches(rx->s, rx->nonce)) /* B4 */
		return -ESTALE;
	memcpy(s->nonce, rx->nonce, sizeof(s->nonce));
	ring_set_owner(r, owner);
	ring_disarm_data(r);
	ring_publish(s, prod);
	return 0;
}

bool xvmc_recver_validate(const struct recver_t *rx)
{
	return rx->s && rx->r && rx->data && rx->size >= XVMC_PAGE_SIZE &&
	       (rx->size & (rx->size - 1)) == 0 && rx->cons <= rx->prod &&
	       rx->prod - rx->cons <= rx->size;
}
