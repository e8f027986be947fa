/* SPDX-License-Identifier: MIT */
/*
 * lib/base/rules: what is a rule, and which connections it means.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "base/rules.h"

static struct in6_addr addr(const char *text)
{
	struct in6_addr ip = { 0 };

	if (inet_pton(AF_INET6, text, &ip) == 1)
		return ip;
	ip.s6_addr[10] = ip.s6_addr[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, text, ip.s6_addr + 12), 1);
	return ip;
}

/* May a connection from port local to peer:port have a ring? */
static bool allow(const char *rules, const char *peer, uint16_t local, uint16_t port)
{
	struct in6_addr ip = addr(peer);
	struct xvmc_rules r;

	assert_int_equal(xvmc_rules_parse(rules, &r, NULL), 0);
	return xvmc_rules_allow(&r, &ip, local, port);
}

static void test_none(void **state)
{
	(void)state;
	assert_true(allow("", "10.0.0.1", 1, 2));
	assert_true(allow(" ; ;", "10.0.0.1", 1, 2));
}

static void test_action(void **state)
{
	(void)state;
	assert_false(allow("tcp", "10.0.0.1", 1, 2));
	assert_false(allow(" \ttcp ", "fd00::1", 1, 2));
	assert_true(allow("ring", "10.0.0.1", 1, 2));
}

static void test_first_decides(void **state)
{
	(void)state;
	assert_true(allow("ring :80;tcp", "10.0.0.1", 4000, 80));
	assert_false(allow("ring :80;tcp", "10.0.0.1", 4000, 81));
	assert_false(allow("tcp;ring :80", "10.0.0.1", 4000, 80));
	assert_false(allow("ring :1;tcp 10.0.0.0/8;ring", "10.0.0.1", 4000, 80));
	assert_true(allow("ring :1;tcp 10.0.0.0/8;ring", "11.0.0.1", 4000, 80));
}

/* Either end's: a rule in a server's environment names the same port as the
 * one in its clients'. */
static void test_ports(void **state)
{
	(void)state;
	assert_false(allow("tcp :80", "10.0.0.1", 4000, 80));
	assert_false(allow("tcp :80", "10.0.0.1", 80, 4000));
	assert_true(allow("tcp :80", "10.0.0.1", 81, 79));
	assert_false(allow("tcp :80-90", "10.0.0.1", 1, 80));
	assert_false(allow("tcp :80-90", "10.0.0.1", 1, 90));
	assert_true(allow("tcp :80-90", "10.0.0.1", 1, 91));
	assert_true(allow("tcp :80-90", "10.0.0.1", 1, 79));
}

static void test_addresses(void **state)
{
	(void)state;
	assert_false(allow("tcp 10.1.2.3", "10.1.2.3", 1, 2));
	assert_true(allow("tcp 10.1.2.3", "10.1.2.2", 1, 2));
	assert_false(allow("tcp 10.1.2.3/31", "10.1.2.2", 1, 2));
	assert_true(allow("tcp 10.1.2.3/31", "10.1.2.4", 1, 2));
	assert_false(allow("tcp 10.128.0.0/9", "10.255.0.1", 1, 2));
	assert_true(allow("tcp 10.128.0.0/9", "10.127.0.1", 1, 2));
	assert_false(allow("tcp 0.0.0.0/0", "1.2.3.4", 1, 2));
	/* All of IPv4 is not all. */
	assert_true(allow("tcp 0.0.0.0/0", "fd00::1", 1, 2));
	assert_false(allow("tcp ::/0", "1.2.3.4", 1, 2));
	assert_false(allow("tcp fd00::/8", "fdff::1", 1, 2));
	assert_true(allow("tcp fd00::/8", "fe00::1", 1, 2));
	assert_false(allow("tcp ::ffff:10.1.2.3", "10.1.2.3", 1, 2));
}

static void test_both(void **state)
{
	(void)state;
	assert_false(allow("tcp 10.0.0.0/8:80", "10.1.1.1", 1, 80));
	assert_true(allow("tcp 10.0.0.0/8:80", "10.1.1.1", 1, 81));
	assert_true(allow("tcp 10.0.0.0/8:80", "11.1.1.1", 1, 80));
	assert_false(allow("tcp [fd00::/8]:80-81", "fd00::1", 81, 1));
	assert_true(allow("tcp [fd00::/8]:80-81", "fd00::1", 82, 1));
	assert_false(allow("tcp [fd00::1]", "fd00::1", 82, 1));
}

static void test_nonsense(void **state)
{
	static const char *const bad[] = {
		"yes",
		"tcp:80",
		"TCP",
		"tcp 80",
		"tcp :",
		"tcp :0",
		"tcp :65536",
		"tcp :-1",
		"tcp :9-8",
		"tcp :1-",
		"tcp :1-2-3",
		"tcp : 80",
		"tcp 10.0.0",
		"tcp 10.0.0.1/33",
		"tcp 10.0.0.1/",
		"tcp 10.0.0.1/x",
		"tcp 10.0.0.1:",
		"tcp fd00::/129",
		"tcp [fd00::1",
		"tcp [fd00::1]80",
		"tcp [fd00::1]:",
		"tcp host",
		"tcp 10.0.0.1 :80",
		"tcp /8",
		"tcp :18446744073709551696",
	};
	struct xvmc_rules r;
	const char *where;
	char text[64], many[XVMC_RULES_MAX * 4 + 8] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		strcpy(text, "ring;");
		strcat(text, bad[i]);
		if (xvmc_rules_parse(text, &r, &where) != -EINVAL)
			fail_msg("taken: %s", bad[i]);
		assert_ptr_equal(where, text + 5);
		assert_int_equal(r.n, 0); /* all or nothing */
	}
	for (unsigned int i = 0; i < XVMC_RULES_MAX; i++)
		strcat(many, "tcp;");
	assert_int_equal(xvmc_rules_parse(many, &r, NULL), 0);
	assert_int_equal(r.n, XVMC_RULES_MAX);
	strcat(many, "tcp;");
	assert_int_equal(xvmc_rules_parse(many, &r, NULL), -E2BIG);
	assert_int_equal(r.n, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_action),
		cmocka_unit_test(test_first_decides),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_both),
		cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
