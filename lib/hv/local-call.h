/* SPDX-License-Identifier: MIT */
/*
 * What local-call.c (the messages) and local-connect.c (whom they go to) share.
 */
#ifndef XVMC_HV_LOCAL_CALL_H
#define XVMC_HV_LOCAL_CALL_H

#include "base/os.h"
#include "local.h"

#define LOCAL_WAIT_NS 2000000000u
#define LOCAL_RETRY_NS 1000000000u /* after one that hung */

union local_packet {
	struct xvmc_lw_hdr hdr;
	struct xvmc_lw_welcome welcome;
	struct xvmc_lw_reply reply;
	struct xvmc_lw_word word;
	char room[XVMC_LW_MAX];
};

/* Sends msg, with fd if that is not negative. */
int local_send(int sock, const void *msg, int fd, uint64_t deadline);
/* Waits for the answer to call serial. 0, -EIO (gone), -ETIMEDOUT. */
int local_answer(struct local_hv *lh, uint32_t serial, uint64_t deadline,
		 union local_packet *ret_packet, int *ret_fds,
		 unsigned int *ret_nfds);

static inline void local_close_fds(const int *fds, unsigned int nfds)
{
	while (nfds > 0)
		os_close(fds[--nfds]);
}

#endif
