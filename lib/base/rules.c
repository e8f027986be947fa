/* SPDX-License-Identifier: MIT */
/*
 * Reading rules, and asking them.
 */
#include "rules.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define BLANKS " \t"
#define V4_BITS 96 /* before an IPv4 address in a v4-mapped one */

/* Nothing but digits, at most max. */
static bool number(const char *s, unsigned long max, unsigned long *ret)
{
	unsigned long n = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || n > max)
			return false;
		n = n * 10 + (unsigned long)(*s - '0');
	}
	*ret = n;
	return n <= max;
}

static bool read_ports(char *s, struct xvmc_rule *r)
{
	char *dash = strchr(s, '-');
	unsigned long low, high;

	if (dash)
		*dash = 0;
	if (!number(s, 65535, &low) || (dash && !number(dash + 1, 65535, &high)))
		return false;
	r->low = (uint16_t)low;
	r->high = (uint16_t)(dash ? high : low);
	return r->low <= r->high && r->high > 0;
}

static bool read_address(char *s, struct xvmc_rule *r)
{
	char *slash = strchr(s, '/');
	unsigned long bits, all = 128;

	if (slash)
		*slash = 0;
	if (inet_pton(AF_INET6, s, &r->ip) != 1) {
		memset(&r->ip, 0, sizeof(r->ip));
		r->ip.s6_addr[10] = r->ip.s6_addr[11] = 0xff;
		if (inet_pton(AF_INET, s, r->ip.s6_addr + 12) != 1)
			return false;
		all = 32;
	}
	bits = all;
	if (slash && !number(slash + 1, all, &bits))
		return false;
	r->bits = (uint8_t)(bits + (all == 32 ? V4_BITS : 0));
	return true;
}

static bool read_where(char *s, struct xvmc_rule *r)
{
	char *port, *end;

	if (*s == '[') {
		end = strchr(s, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		port = end[1] ? end + 2 : NULL;
		*end = 0;
		return (!port || read_ports(port, r)) && read_address(s + 1, r);
	}
	port = strchr(s, ':');
	if (!port || strchr(port + 1, ':')) /* none, or an IPv6 address */
		return read_address(s, r);
	*port = 0;
	return read_ports(port + 1, r) && (port == s || read_address(s, r));
}

static bool read_rule(char *s, struct xvmc_rule *ret)
{
	struct xvmc_rule r = { .high = 65535 };
	char *save, *action = strtok_r(s, BLANKS, &save);
	char *where = strtok_r(NULL, BLANKS, &save);

	if (!action || (where && strtok_r(NULL, BLANKS, &save)))
		return false;
	r.tcp = !strcmp(action, "tcp");
	if (!r.tcp && strcmp(action, "ring") != 0)
		return false;
	if (where && !read_where(where, &r))
		return false;
	*ret = r;
	return true;
}

int xvmc_rules_parse(const char *text, struct xvmc_rules *ret_rules, const char **ret_bad)
{
	struct xvmc_rules rules = { 0 };
	char one[128];

	ret_rules->n = 0;
	for (size_t len; *text; text += len + (text[len] == ';')) {
		len = strcspn(text, ";");
		if (ret_bad)
			*ret_bad = text;
		if (strspn(text, BLANKS) >= len)
			continue;
		if (rules.n == XVMC_RULES_MAX)
			return -E2BIG;
		if (len >= sizeof(one))
			return -EINVAL;
		memcpy(one, text, len);
		one[len] = 0;
		if (!read_rule(one, &rules.rule[rules.n]))
			return -EINVAL;
		rules.n++;
	}
	*ret_rules = rules;
	return 0;
}

static bool same_net(const struct in6_addr *a, const struct in6_addr *b, unsigned int bits)
{
	unsigned int rest = bits % 8;

	return memcmp(a->s6_addr, b->s6_addr, bits / 8) == 0 &&
	       (rest == 0 || (a->s6_addr[bits / 8] ^ b->s6_addr[bits / 8]) >> (8 - rest) == 0);
}

static bool in(const struct xvmc_rule *r, uint16_t port)
{
	return port >= r->low && port <= r->high;
}

bool xvmc_rules_allow(const struct xvmc_rules *rules, const struct in6_addr *peer,
		      uint16_t local_port, uint16_t peer_port)
{
	for (unsigned int i = 0; i < rules->n; i++) {
		const struct xvmc_rule *r = &rules->rule[i];

		if (same_net(&r->ip, peer, r->bits) &&
		    (in(r, local_port) || in(r, peer_port)))
			return !r->tcp;
	}
	return true;
}
