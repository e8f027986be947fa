/* SPDX-License-Identifier: MIT */
/*
 * VMs[] [S 2]: which addresses lead to guests that are, or may come to be,
 * co-resident with us; which are so now is for xvmcd to say. Built from the board
 * xvmcd publishes (agent.h) and swapped under RCU (liburcu-bp), so that a lookup
 * is wait-free.
 *
 * Threads: lookups from any; one at a time rebuilds the table.
 * fork:    a child may go on looking up.
 */
#ifndef XVMC_VMS_H
#define XVMC_VMS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "xvmc/agent.h"

struct vms;

/*
 * Maps $dir/board. -ENOENT: no xvmcd has published one (yet): the caller may
 * try again later. No descriptor stays open.
 */
int vms_open(const char *dir, struct vms **ret_vms);
void vms_close(struct vms *vms);

/* True if a connection to this address could become eligible, now or after a
 * migration: worth following. Cheap; rebuilds the table if the board changed. */
bool vms_possible(struct vms *vms, const struct in6_addr *ip);

/* sockaddr to address and port; false: not TCP over IPv4 or IPv6. */
bool vms_addr(const struct sockaddr *sa, socklen_t len, struct in6_addr *ret_ip,
	      uint16_t *ret_port);

#endif
