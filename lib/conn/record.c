/* SPDX-License-Identifier: MIT */
/*
 * The switch record: made, and checked against what a correct peer writes.
 */
#include <string.h>

#include "conn.h"

/* FNV-1a over the record before the sum. It guards against a half-written
 * or shifted record; against a forger the 128-bit nonce does. */
static uint64_t record_sum(const struct xvmc_record *rec)
{
	const uint8_t *p = (const uint8_t *)rec;
	uint64_t sum = 0xcbf29ce484222325u;

	for (size_t i = 0; i < offsetof(struct xvmc_record, sum); i++)
		sum = (sum ^ p[i]) * 0x100000001b3u;
	return sum;
}

void xvmc_record_make(struct xvmc_record *rec, const uint8_t nonce[XVMC_NONCE_LEN],
		      uint32_t epoch, enum xvmc_path target, unsigned int cause,
		      unsigned int flags, uint64_t pos, uint64_t len)
{
	memset(rec, 0, sizeof(*rec));
	memcpy(rec->nonce, nonce, XVMC_NONCE_LEN);
	rec->epoch = epoch;
	rec->target = (uint8_t)target;
	rec->cause = (uint8_t)cause;
	rec->flags = (uint8_t)flags;
	rec->pos = pos;
	rec->len = len;
	rec->sum = record_sum(rec);
}

bool xvmc_record_check(const struct xvmc_record *rec,
		       const uint8_t nonce[XVMC_NONCE_LEN])
{
	return memcmp(rec->nonce, nonce, XVMC_NONCE_LEN) == 0 &&
	       rec->sum == record_sum(rec) && rec->target <= XVMC_PATH_RING &&
	       rec->pos <= UINT64_MAX - rec->len &&
	       (rec->target == XVMC_PATH_TCP || rec->len == 0);
}
