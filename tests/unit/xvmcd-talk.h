/* SPDX-License-Identifier: MIT */
/*
 * Two processes of agent.sock and what they say, for the tests of xvmcd: each
 * test has an xvmcd of its own, and connections that are left open end with it.
 */
#ifndef XVMC_TEST_XVMCD_TALK_H
#define XVMC_TEST_XVMCD_TALK_H

#include "fresh.h"
#include "xvmcd.h"

struct world {
	bool fds[1024]; /* open before */
	struct xvmcd_run run;
	int daemon_fds;
};

/* Two processes with one link; epids 10 and 20. */
struct couple {
	int a, b;
	uint64_t link;
};

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int setup(void **state);
int teardown(void **state);

struct xvmc_board *map_board(struct world *w);
uint64_t now_ms(void);

/* IPv4 or IPv6. */
struct xvmc_ag_addr addr(const char *ip, uint16_t port);

/* REGISTER; reg: a connection from port 4000 + n to port 80 of loopback, the
 * client's end or the other. word: UNREGISTER, UNLINK. */
void reg_as(int sock, uint32_t epid, const char *lip, uint16_t lport,
	    const char *rip, uint16_t rport, uint64_t link);
void reg(int sock, uint32_t epid, uint16_t n, bool client);
void word(int sock, uint16_t type, uint32_t epid, uint32_t reason, uint64_t link);
void relay(int sock, uint32_t epid, uint64_t link, const char *text);

/* A tool's request that is a header alone. */
void ask(int tool, uint16_t type, uint32_t serial);

/* The next message must be that one. expect_match returns the link. */
uint64_t expect_match(int sock, uint32_t epid, union agent_msg *ret_msg);
void expect_unlinked(int sock, uint32_t epid, uint64_t link, uint32_t reason);
void expect_relayed(int sock, uint32_t epid, uint64_t link, const char *text);
void expect_end(int tool, uint32_t serial, int status);

/* Nothing is on its way to sock. */
void expect_quiet(struct world *w, int sock);

/* Domains vm1 and vm2, linked. */
struct couple couple(struct world *w);

#endif
