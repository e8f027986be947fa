/* SPDX-License-Identifier: MIT */
/*
 * Ask and steer, from a program under libxvmc.so. Nothing is linked: a
 * program looks the functions up and does without where they are missing:
 *
 *     int (*info)(int, struct xvmc_fd_info *) =
 *         (int (*)(int, struct xvmc_fd_info *))dlsym(RTLD_DEFAULT, "xvmc_fd_info");
 *
 * Threads: any. Signals: not from a handler. All return 0, or -1 with errno;
 * EBADF: not an open descriptor; ENOTCONN: not a connection the library
 * follows (no TCP, or the peer cannot be co-resident).
 */
#ifndef XVMC_XVMC_H
#define XVMC_XVMC_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define XVMC_FD_TCP 0u
#define XVMC_FD_RING 1u

/* One direction of a connection. */
struct xvmc_fd_direction {
	uint32_t path;       /* XVMC_FD_* now */
	char reason[20];     /* why: a word as `xvmc ss` prints it */
	uint64_t bytes;      /* the application's, by both ways together */
	uint64_t ring_bytes; /* of these by rings */
};

struct xvmc_fd_info {
	uint32_t size;     /* in: sizeof this structure; out: what is filled in */
	uint32_t switches; /* of both directions so far */
	struct xvmc_fd_direction tx, rx;
	uint32_t tx_ring_size, rx_ring_size; /* bytes each ring has room for; 0: none */
};

/* What the connection behind fd does. size must be set by the caller; a
 * library that knows more fields than the caller fills in the caller's. */
int xvmc_fd_info(int fd, struct xvmc_fd_info *ret);

/* Asks for rings now, whether the connection looks worth it or not. It moves
 * when the peer has registered it too, soon after the call returned. EPERM:
 * it is on TCP for good, see the reason. */
int xvmc_promote(int fd);

/* Asks for both directions to go to TCP and stay there until xvmc_promote or
 * `xvmc promote`. Returns before they have moved. */
int xvmc_demote(int fd);

#ifdef __cplusplus
}
#endif

#endif
