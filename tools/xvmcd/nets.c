/* SPDX-License-Identifier: MIT */
/*
 * The networks this guest's interfaces are on, for the board. Whoever is
 * migrated keeps its address, and so comes from another host of the same
 * network: connections to these are worth following before they can be worth
 * a ring. Where guests are moved between networks by routing, what began apart
 * stays on TCP.
 *
 * The kernel tells of changes by netlink; each time all is looked at.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

static uint32_t ones(const void *mask, size_t n)
{
	const uint8_t *byte = mask;
	uint32_t bits = 0;

	for (size_t i = 0; i < n; i++)
		bits += (uint32_t)__builtin_popcount(byte[i]);
	return bits;
}

/* False: nobody can arrive there. */
static bool take(const struct ifaddrs *ifa, struct xvmc_board_net *ret_net)
{
	memset(ret_net, 0, sizeof(*ret_net));
	if (!ifa->ifa_addr || !ifa->ifa_netmask || ifa->ifa_flags & IFF_LOOPBACK)
		return false;
	if (ifa->ifa_addr->sa_family == AF_INET) {
		const struct sockaddr_in *addr = (const void *)ifa->ifa_addr;
		const struct sockaddr_in *mask = (const void *)ifa->ifa_netmask;

		ret_net->addr.s6_addr[10] = ret_net->addr.s6_addr[11] = 0xff;
		memcpy(&ret_net->addr.s6_addr[12], &addr->sin_addr, 4);
		ret_net->bits = 96 + ones(&mask->sin_addr, 4);
		return true;
	}
	if (ifa->ifa_addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *addr = (const void *)ifa->ifa_addr;
		const struct sockaddr_in6 *mask = (const void *)ifa->ifa_netmask;

		ret_net->addr = addr->sin6_addr;
		ret_net->bits = ones(&mask->sin6_addr, 16);
		return !IN6_IS_ADDR_LINKLOCAL(&addr->sin6_addr);
	}
	return false;
}

static void look(struct xvmcd *d)
{
	struct xvmc_board_net nets[XVMC_BOARD_NETS];
	struct ifaddrs *all;
	uint32_t n = 0;

	if (getifaddrs(&all) < 0)
		return;
	for (const struct ifaddrs *ifa = all; ifa && n < XVMC_BOARD_NETS; ifa = ifa->ifa_next)
		n += take(ifa, &nets[n]);
	freeifaddrs(all);
	board_nets(d, nets, n);
}

static void changed(struct watch *watch, uint32_t events)
{
	struct xen_mode *xen = xvmc_list_entry(watch, struct xen_mode, nets_watch);
	char text[4096];

	(void)events;
	/* What they say does not matter, nor whether some were lost. */
	while (recv(watch->fd, text, sizeof(text), MSG_DONTWAIT) > 0 || errno == ENOBUFS)
		;
	look(xen->d);
}

int nets_start(struct xen_mode *xen)
{
	struct sockaddr_nl nl = { .nl_family = AF_NETLINK,
				  .nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), rc;

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&nl, sizeof(nl)) < 0) {
		rc = -errno;
		close(fd);
		return rc;
	}
	xen->nets_watch = (struct watch){ .fd = fd, .ready = changed };
	look(xen->d);
	return loop_add(xen->d->loop, &xen->nets_watch, EPOLLIN);
}
