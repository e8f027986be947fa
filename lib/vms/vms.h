/* SPDX-License-Identifier: MIT */
/*
 * VMs[] [S 2]: which addresses lead to guests that xvmcd knows of, and which may
 * come to; which guests are co-resident now is for xvmcd to say. Built from the
 * board xvmcd publishes (agent.h) and swapped under RCU (liburcu-bp), so that a
 * lookup is wait-free.
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

enum vms_who {
	VMS_NOBODY, /* of interest */
	VMS_ABSENT, /* not here, and may arrive: worth following, and a look later */
	VMS_GUEST,  /* of xvmcd's: a connection to it may become eligible */
};

/* Who has this address, as the board said when its number was *ret_seq. Cheap;
 * rebuilds the table if the board has changed. */
enum vms_who vms_look(struct vms *vms, const struct in6_addr *ip, uint32_t *ret_seq);
/* The board's number now. As long as it is the same, a look finds the same. */
uint32_t vms_seq(const struct vms *vms);

/* sockaddr to address and port; false: not TCP over IPv4 or IPv6. */
bool vms_addr(const struct sockaddr *sa, socklen_t len, struct in6_addr *ret_ip,
	      uint16_t *ret_port);

#endif
