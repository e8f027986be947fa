/* SPDX-License-Identifier: MIT */
/*
 * Who is brought together with whom, for how long, and what a forked child
 * can ask for.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/reason.h"
#include "xvmcd-talk.h"

static void test_relay(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);

	relay(c.a, 10, c.link, "from a to b");
	expect_relayed(c.b, 20, c.link, "from a to b");
	relay(c.b, 20, c.link, "from b to a");
	expect_relayed(c.a, 10, c.link, "from b to a");
	/* not its link, not its endpoint: nothing happens */
	relay(c.a, 11, c.link, "no such end");
	relay(c.a, 10, c.link + 1, "no such link");
	relay(c.b, 10, c.link, "not b's end");
	expect_quiet(w, c.a);
	expect_quiet(w, c.b);
}

/* A program that talks to itself, twice over. */
static void test_same_process(void **state)
{
	struct world *w = *state;
	int a = agent_app(&w->run, "vm1");
	union agent_msg m1, m2;
	uint64_t link;

	reg(a, 1, 0, true);
	reg(a, 2, 0, false);
	agent_expect(a, XVMC_AG_MATCH, &m1);
	agent_expect(a, XVMC_AG_MATCH, &m2);
	link = m1.match.link;
	assert_int_equal(m2.match.link, link);
	assert_int_equal(m1.match.epid + m2.match.epid, 3);
	assert_int_equal(m1.match.peer_domid, m2.match.peer_domid);
	relay(a, 1, link, "myself!!");
	expect_relayed(a, 2, link, "myself!!");
	word(a, XVMC_AG_UNREGISTER, 1, 0, link);
	expect_unlinked(a, 2, link, XVMC_R_CLOSE);
	/* a socket connected to itself is nobody's peer */
	reg_as(a, 3, "127.0.0.1", 99, "127.0.0.1", 99, 0);
	reg_as(a, 4, "::1", 1, "::1", 2, 0);
	reg_as(a, 5, "::1", 2, "::1", 1, 0);
	link = expect_match(a, 4, &m1);
	assert_int_equal(expect_match(a, 5, &m2), link);
	expect_quiet(w, a);
}

static void test_peer_died(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);

	close(c.a);
	expect_unlinked(c.b, 20, c.link, XVMC_R_PEER_DIED);
	expect_quiet(w, c.b);
	/* the same tuple again */
	c.a = agent_app(&w->run, "vm1");
	reg(c.a, 77, 0, true);
	assert_int_not_equal(expect_match(c.a, 77, &(union agent_msg){ 0 }), c.link);
}

static void test_unregister(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);

	word(c.a, XVMC_AG_UNREGISTER, 10, XVMC_R_SHUTDOWN, c.link);
	expect_unlinked(c.b, 20, c.link, XVMC_R_SHUTDOWN);
	word(c.a, XVMC_AG_UNREGISTER, 10, XVMC_R_SHUTDOWN, 0); /* no error */
	expect_quiet(w, c.a);
}

/* It was said before the match was known there: both ends hear that the link
 * has ended, or the next one would be taken for the same. */
static void test_unregister_crosses(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);

	word(c.a, XVMC_AG_UNREGISTER, 10, XVMC_R_DEMOTED, 0);
	expect_unlinked(c.a, 10, c.link, XVMC_R_DEMOTED);
	expect_unlinked(c.b, 20, c.link, XVMC_R_DEMOTED);
	expect_quiet(w, c.a);
}

/* After a passing reason: again, but not at once, and ever more slowly. */
static void test_back_off(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	union agent_msg msg;

	for (uint64_t wait = 10; wait <= 160; wait *= 2) {
		uint64_t before = now_ms(), took;

		word(c.a, XVMC_AG_UNLINK, 10, XVMC_R_LRU, c.link);
		expect_unlinked(c.b, 20, c.link, XVMC_R_LRU);
		c.link = expect_match(c.a, 10, &msg);
		expect_match(c.b, 20, &msg);
		took = now_ms() - before;
		assert_true(took + 1 >= wait);
	}
	/* both at once: the second is about a link that has ended */
	word(c.a, XVMC_AG_UNLINK, 10, XVMC_R_LRU, c.link);
	word(c.b, XVMC_AG_UNLINK, 20, XVMC_R_LRU, c.link);
	/* promoting forgives */
	{
		struct xvmc_ag_steer steer = { .to = XVMC_PATH_RING };
		int tool = agent_tool(&w->run);

		agent_send(tool, XVMC_AG_STEER, &steer, sizeof(steer));
		agent_expect(tool, XVMC_AG_END, &msg);
		agent_expect(c.a, XVMC_AG_STEER, &msg);
		expect_match(c.a, 10, &msg);
	}
}

static void steer(struct world *w, uint32_t pid, uint32_t epid, uint32_t to, int status)
{
	struct xvmc_ag_steer msg = { .pid = pid, .epid = epid, .to = to };
	int tool = agent_tool(&w->run);
	union agent_msg answer;

	agent_send(tool, XVMC_AG_STEER, &msg, sizeof(msg));
	agent_expect(tool, XVMC_AG_END, &answer);
	assert_int_equal(answer.hdr.status, status);
	close(tool);
}

static void expect_steer(int sock, uint32_t epid, uint32_t to)
{
	union agent_msg msg;

	agent_expect(sock, XVMC_AG_STEER, &msg);
	assert_int_equal(msg.steer.epid, epid);
	assert_int_equal(msg.steer.to, to);
}

static void test_pinned(void **state)
{
	static const uint32_t reasons[] = { XVMC_R_EXEC, XVMC_R_FD_PASSED, XVMC_R_UNFOLLOWED, XVMC_R_RULE, XVMC_R_TCP_ONLY,
					    XVMC_R_CLOSE, XVMC_R_SHUTDOWN, XVMC_R_DEMOTED };
	struct world *w = *state;
	struct couple c = couple(w);
	union agent_msg msg;

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		word(c.a, XVMC_AG_UNLINK, 10, reasons[i], c.link);
		expect_unlinked(c.b, 20, c.link, reasons[i]);
		usleep(30000); /* longer than the first back-off */
		expect_quiet(w, c.a);
		steer(w, (uint32_t)getpid(), 99, XVMC_PATH_RING, 0); /* another end */
		expect_steer(c.a, 99, XVMC_PATH_RING);
		expect_steer(c.b, 99, XVMC_PATH_RING);
		expect_quiet(w, c.a);
		steer(w, 0, 10, XVMC_PATH_RING, 0);
		expect_steer(c.a, 10, XVMC_PATH_RING);
		expect_steer(c.b, 10, XVMC_PATH_RING);
		c.link = expect_match(c.a, 10, &msg);
		expect_match(c.b, 20, &msg);
	}
	/* demoted while it was not linked */
	word(c.a, XVMC_AG_UNLINK, 10, XVMC_R_LRU, c.link);
	expect_unlinked(c.b, 20, c.link, XVMC_R_LRU);
	steer(w, 0, 10, XVMC_PATH_TCP, 0);
	expect_steer(c.a, 10, XVMC_PATH_TCP);
	expect_steer(c.b, 10, XVMC_PATH_TCP);
	steer(w, 0, 20, XVMC_PATH_RING, 0); /* from the other end will do */
	expect_steer(c.a, 20, XVMC_PATH_RING);
	expect_match(c.a, 10, &msg);
	steer(w, 1, 0, XVMC_PATH_RING, -ESRCH); /* init is none of ours */
}

static void test_ambiguous(void **state)
{
	struct world *w = *state;
	int a = agent_app(&w->run, "vm1"), a2 = agent_app(&w->run, "vm1");
	int b = agent_app(&w->run, "vm2"), b2 = agent_app(&w->run, "vm2");
	union agent_msg msg;
	uint64_t link;

	reg(a, 1, 0, true);
	reg(a2, 2, 0, true);
	expect_unlinked(a, 1, 0, XVMC_R_AMBIGUOUS);
	expect_unlinked(a2, 2, 0, XVMC_R_AMBIGUOUS);
	reg(b, 3, 0, false);
	expect_unlinked(b, 3, 0, XVMC_R_AMBIGUOUS);
	expect_quiet(w, a); /* said once */
	word(a2, XVMC_AG_UNREGISTER, 2, 0, 0);
	link = expect_match(a, 1, &msg);
	expect_match(b, 3, &msg);
	/* one who comes later does not disturb those who are together */
	reg(b2, 4, 0, false);
	expect_unlinked(b2, 4, 0, XVMC_R_AMBIGUOUS);
	relay(a, 1, link, "undisturbed");
	expect_relayed(b, 3, link, "undisturbed");
	close(b); /* the stale one goes: the other is the one */
	expect_unlinked(a, 1, link, XVMC_R_PEER_DIED);
	expect_match(a, 1, &msg);
	expect_match(b2, 4, &msg);
	/* a crowd is turned away */
	for (uint32_t i = 0; i < 40; i++)
		reg(a2, 100 + i, 5, true);
	for (uint32_t i = 0; i < 40; i++)
		agent_expect(a2, XVMC_AG_UNLINKED, &msg);
}

static int app_in(struct world *w, const char *domain, uint64_t netns, const char *ip)
{
	struct xvmc_ag_hello msg = { .role = XVMC_ROLE_APP, .netns = netns };
	int sock = agent_connect(&w->run);
	union agent_msg welcome;

	strcpy(msg.domain, domain);
	if (ip) {
		msg.naddrs = 1;
		msg.addr[0] = addr(ip, 0).ip;
	}
	agent_send(sock, XVMC_AG_HELLO, &msg, sizeof(msg));
	agent_expect(sock, XVMC_AG_WELCOME, &welcome);
	return sock;
}

static void test_namespaces(void **state)
{
	struct world *w = *state;
	int a = app_in(w, "vm1", 1, "10.0.0.1"), b = app_in(w, "vm2", 2, "10.0.0.2");
	int x = app_in(w, "vm3", 3, "10.0.0.2"), n, n2;
	union agent_msg msg;

	/* addresses that one namespace alone claims: strict */
	close(x);
	agent_sync(&w->run);
	reg_as(a, 1, "10.0.0.1", 4000, "10.0.0.2", 80, 0);
	reg_as(b, 2, "10.0.0.2", 80, "10.0.0.1", 4000, 0);
	expect_match(a, 1, &msg);
	assert_int_equal(msg.match.strict, 1);
	expect_match(b, 2, &msg);
	assert_int_equal(msg.match.strict, 1);
	/* loopback never leads out of its namespace */
	reg_as(a, 3, "127.0.0.1", 4000, "127.0.0.1", 80, 0);
	reg_as(b, 4, "127.0.0.1", 80, "127.0.0.1", 4000, 0);
	expect_unlinked(a, 3, 0, XVMC_R_AMBIGUOUS);
	expect_unlinked(b, 4, 0, XVMC_R_AMBIGUOUS);
	/* ... but inside, it does, even if others have the same inside */
	reg_as(b, 5, "127.0.0.1", 4000, "127.0.0.1", 80, 0);
	for (int i = 0; i < 2; i++) {
		agent_expect(b, XVMC_AG_MATCH, &msg);
		assert_true(msg.match.epid == 4 || msg.match.epid == 5);
		assert_int_equal(msg.match.strict, 0);
	}
	/* an address claimed twice is nobody's */
	x = app_in(w, "vm3", 3, "10.0.0.2");
	reg_as(a, 6, "10.0.0.1", 4001, "10.0.0.2", 80, 0);
	reg_as(b, 7, "10.0.0.2", 80, "10.0.0.1", 4001, 0);
	expect_unlinked(a, 6, 0, XVMC_R_AMBIGUOUS);
	expect_unlinked(b, 7, 0, XVMC_R_AMBIGUOUS);
	/* an address its process does not have (some translation) */
	reg_as(a, 8, "10.0.0.9", 4002, "10.0.0.8", 80, 0);
	reg_as(b, 9, "10.0.0.8", 80, "10.0.0.9", 4002, 0);
	expect_unlinked(a, 8, 0, XVMC_R_AMBIGUOUS);
	expect_unlinked(b, 9, 0, XVMC_R_AMBIGUOUS);
	/* an unknown namespace proves nothing */
	n = app_in(w, "vm1", 0, NULL);
	n2 = app_in(w, "vm2", 0, NULL);
	reg_as(n, 1, "127.0.0.1", 4003, "127.0.0.1", 80, 0);
	reg_as(n2, 2, "127.0.0.1", 80, "127.0.0.1", 4003, 0);
	expect_unlinked(n, 1, 0, XVMC_R_AMBIGUOUS);
	expect_unlinked(n2, 2, 0, XVMC_R_AMBIGUOUS);
}

/* xvmcd has handled all that was sent on sock: an answer came after it. */
static void flush(int sock)
{
	struct xvmc_ag_adopt msg = { .pid = UINT32_MAX, .link = 1 };
	union agent_msg answer;

	agent_send(sock, XVMC_AG_ADOPT, &msg, sizeof(msg));
	do
		assert_true(agent_recv(sock, &answer) > 0);
	while (answer.hdr.type != XVMC_AG_END);
	assert_int_equal(answer.hdr.status, -ESRCH);
}

static void test_too_many(void **state)
{
	struct world *w = *state;
	int a = agent_app(&w->run, "vm1"), b;
	union agent_msg msg;

	for (uint32_t i = 0; i < 65536; i++)
		reg_as(a, i + 1, "10.0.0.1", (uint16_t)i, "10.0.0.2", 80, 0);
	flush(a);
	b = agent_app(&w->run, "vm2");
	reg(b, 1, 0, true);
	expect_unlinked(b, 1, 0, XVMC_R_NO_MEMORY);
	word(a, XVMC_AG_UNREGISTER, 1, 0, 0);
	flush(a);
	reg(b, 2, 0, true);
	reg(b, 3, 0, false);
	expect_unlinked(b, 3, 0, XVMC_R_NO_MEMORY);
	close(a);
	agent_sync(&w->run);
	reg(b, 4, 0, false);
	expect_match(b, 4, &msg);
}

/* ---- forked children ---- */

/* The end that others use as well unregisters; the other end has followed it,
 * and was the first to say why. It is willing when a child registers. */
static void test_forked(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	union agent_msg msg;
	int child;

	word(c.b, XVMC_AG_UNLINK, 20, XVMC_R_FORK, c.link);
	expect_unlinked(c.a, 10, c.link, XVMC_R_FORK);
	word(c.a, XVMC_AG_UNREGISTER, 10, XVMC_R_FORK, 0);
	expect_quiet(w, c.b);
	child = agent_app(&w->run, "vm1");
	reg(child, 10, 0, true);
	assert_int_equal(expect_match(child, 10, &msg), expect_match(c.b, 20, &msg));
}

static void adopt(int sock, uint32_t serial, uint32_t pid, uint32_t epid, uint64_t link)
{
	struct xvmc_ag_adopt msg = { .hdr = { .serial = serial }, .pid = pid, .epid = epid, .link = link };

	agent_send(sock, XVMC_AG_ADOPT, &msg, sizeof(msg));
}

static void expect_adopted(int sock, uint32_t serial, int status)
{
	union agent_msg msg;

	agent_expect(sock, XVMC_AG_END, &msg);
	assert_int_equal(msg.hdr.serial, serial);
	assert_int_equal(msg.hdr.status, status);
}

static void test_adopt(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int child = agent_app(&w->run, "vm1");
	uint32_t pid = (uint32_t)getpid();
	union agent_msg msg;
	uint64_t before, old = c.link;

	adopt(child, 5, pid, 10, c.link);
	adopt(child, 6, pid, 10, c.link);
	for (int i = 0; i < 2; i++) {
		agent_expect(c.a, XVMC_AG_YIELD, &msg);
		assert_int_equal(msg.word.epid, 10);
		assert_int_equal(msg.word.link, c.link);
		assert_int_equal(msg.word.reason, XVMC_R_FORK);
	}
	expect_quiet(w, child); /* not before the owner has answered */
	word(c.a, XVMC_AG_UNLINK, 10, XVMC_R_FORK, c.link);
	word(c.a, XVMC_AG_UNREGISTER, 10, XVMC_R_FORK, 0); /* nor is it matched again */
	expect_unlinked(c.b, 20, c.link, XVMC_R_FORK);
	expect_adopted(child, 5, 0);
	expect_adopted(child, 6, 0);
	/* a link that has ended: its owner is on TCP */
	adopt(child, 7, pid, 10, c.link);
	expect_adopted(child, 7, 0);
	adopt(child, 8, 1, 10, c.link);
	expect_adopted(child, 8, -ESRCH);
	/* the owner dies before it answers */
	reg(c.a, 11, 1, true);
	reg(c.b, 21, 1, false);
	c.link = expect_match(c.a, 11, &msg);
	expect_match(c.b, 21, &msg);
	adopt(child, 9, pid, 11, c.link);
	agent_expect(c.a, XVMC_AG_YIELD, &msg);
	/* forked before this link was made: with an older one, or none */
	adopt(child, 13, pid, 11, old);
	agent_expect(c.a, XVMC_AG_YIELD, &msg);
	assert_int_equal(msg.word.link, c.link);
	adopt(child, 14, 1, 11, 0);
	agent_expect(c.a, XVMC_AG_YIELD, &msg);
	assert_int_equal(msg.word.link, c.link);
	close(c.a);
	expect_adopted(child, 9, -ESRCH);
	expect_adopted(child, 13, -ESRCH);
	expect_adopted(child, 14, -ESRCH);
	expect_unlinked(c.b, 21, c.link, XVMC_R_PEER_DIED);
	/* both ends have that number: the child's domain tells which is meant */
	c.a = agent_app(&w->run, "vm1");
	reg(c.a, 30, 3, true);
	reg(c.b, 30, 3, false);
	c.link = expect_match(c.a, 30, &msg);
	expect_match(c.b, 30, &msg);
	adopt(child, 12, 0, 30, c.link);
	agent_expect(c.a, XVMC_AG_YIELD, &msg);
	close(c.a);
	expect_adopted(child, 12, -ESRCH);
	expect_unlinked(c.b, 30, c.link, XVMC_R_PEER_DIED);
	/* the owner does not answer */
	c.a = agent_app(&w->run, "vm1");
	reg(c.a, 12, 2, true);
	reg(c.b, 22, 2, false);
	c.link = expect_match(c.a, 12, &msg);
	before = now_ms();
	adopt(child, 10, pid, 12, c.link);
	expect_adopted(child, 10, -ETIMEDOUT);
	assert_true(now_ms() - before >= 999);
	/* the child dies first */
	adopt(child, 11, pid, 12, c.link);
	close(child);
	agent_sync(&w->run);
	word(c.a, XVMC_AG_UNLINK, 12, XVMC_R_FORK, c.link);
	agent_sync(&w->run);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(test_relay),
		T(test_same_process),
		T(test_peer_died),
		T(test_unregister),
		T(test_unregister_crosses),
		T(test_back_off),
		T(test_pinned),
		T(test_forked),
		T(test_ambiguous),
		T(test_namespaces),
		T(test_too_many),
		T(test_adopt),
	};

	return fresh_run("xvmcd, matching", tests, sizeof(tests) / sizeof(tests[0]), argc, argv) != 0;
}
