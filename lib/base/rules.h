/* SPDX-License-Identifier: MIT */
/*
 * The user's rules: which connections may have a ring (XVMC_RULES, xvmc-run
 * --rule). The first one that speaks of a connection decides; a connection of
 * which none speaks may have one.
 *
 *   RULE  = ACTION [WHERE], rules are separated by ';'
 *   ACTION = "ring" or "tcp"
 *   WHERE = ADDRESS[/BITS] | [ADDRESS[/BITS]]:PORT[-PORT], where an IPv6
 *           address with a port stands in brackets
 *
 * ADDRESS is the peer's, PORT either end's.
 */
#ifndef XVMC_RULES_H
#define XVMC_RULES_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define XVMC_RULES_MAX 32u

struct xvmc_rule {
	bool tcp;     /* stays there */
	uint8_t bits; /* of ip that count; IPv4 is v4-mapped: 96 more */
	struct in6_addr ip;
	uint16_t low, high; /* 0 to 65535: any */
};

struct xvmc_rules {
	unsigned int n;
	struct xvmc_rule rule[XVMC_RULES_MAX];
};

/* -EINVAL: text makes no sense, *ret_bad (if not NULL) is the rule that does
 * not; -E2BIG: too many. Then there are no rules. */
int xvmc_rules_parse(const char *text, struct xvmc_rules *ret_rules, const char **ret_bad);

/* True: this connection may have a ring. Ports in host order. */
bool xvmc_rules_allow(const struct xvmc_rules *rules, const struct in6_addr *peer,
		      uint16_t local_port, uint16_t peer_port);

#endif
