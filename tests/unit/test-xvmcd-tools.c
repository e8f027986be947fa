/* SPDX-License-Identifier: MIT */
/*
 * What tools ask xvmcd for: lists, counts, and migrations with the order of
 * their messages. What becomes of memory is test-hv-migrate's question.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/stats.h"
#include "hv/local-wire.h"
#include "xvmcd-talk.h"

static void send_row(int sock, uint32_t serial, uint32_t epid)
{
	struct xvmc_ag_row row = { .hdr = { .serial = serial }, .pid = 42, .epid = epid };

	memset(row.comm, 'c', sizeof(row.comm)); /* no NUL */
	memset(row.domain, 'd', sizeof(row.domain));
	agent_send(sock, XVMC_AG_ROW, &row, sizeof(row));
}

static void send_end(int sock, uint32_t serial)
{
	struct xvmc_agent_hdr end = { .serial = serial };

	agent_send(sock, XVMC_AG_END, &end, sizeof(end));
}

static void test_list(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int tool = agent_tool(&w->run), tool2 = agent_tool(&w->run);
	union agent_msg qa, qb, msg;
	uint64_t before;

	ask(tool, XVMC_AG_LIST, 1);
	agent_expect(c.a, XVMC_AG_QUERY, &qa);
	ask(tool2, XVMC_AG_LIST, 2);
	agent_expect(c.b, XVMC_AG_QUERY, &qb);
	send_row(c.a, qa.hdr.serial, 1);
	send_row(c.a, qa.hdr.serial + 100, 99); /* for another one */
	send_row(c.a, qa.hdr.serial, 2);
	send_end(c.a, qa.hdr.serial);
	send_row(c.a, qa.hdr.serial, 98); /* after its end */
	send_row(c.b, qb.hdr.serial, 3);
	for (uint32_t epid = 1; epid <= 3; epid++) {
		agent_expect(tool, XVMC_AG_ROW, &msg);
		assert_int_equal(msg.row.epid, epid);
		assert_int_equal(msg.hdr.serial, 1);
		assert_int_equal(msg.row.pid, getpid()); /* not what it said */
		assert_string_equal(msg.row.domain, epid < 3 ? "vm1" : "vm2");
		assert_string_equal(msg.row.host, "A");
		assert_int_equal(strlen(msg.row.comm), 15);
	}
	assert_true(agent_quiet(tool2)); /* it waits its turn */
	send_end(c.b, qb.hdr.serial);
	expect_end(tool, 1, 0);
	/* the second: one answers, the other is too slow */
	agent_expect(c.a, XVMC_AG_QUERY, &qa);
	agent_expect(c.b, XVMC_AG_QUERY, &qb);
	before = now_ms();
	send_row(c.a, qa.hdr.serial, 4);
	send_end(c.a, qa.hdr.serial);
	agent_expect(tool2, XVMC_AG_ROW, &msg);
	expect_end(tool2, 2, 0);
	assert_true(now_ms() - before >= 400);
	/* a process that ends, and a tool that does, hold nobody up */
	ask(tool, XVMC_AG_LIST, 3);
	agent_expect(c.a, XVMC_AG_QUERY, &qa);
	agent_expect(c.b, XVMC_AG_QUERY, &qb);
	ask(tool2, XVMC_AG_LIST, 4);
	close(tool);
	agent_expect(c.a, XVMC_AG_QUERY, &qa);
	close(c.b);
	send_end(c.a, 0); /* no serial: to what it was asked last */
	expect_end(tool2, 4, 0);
	close(c.a);
	agent_sync(&w->run);
	ask(tool2, XVMC_AG_LIST, 5); /* nobody to ask */
	expect_end(tool2, 5, 0);
}

static void test_domains(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int tool = agent_tool(&w->run);
	union agent_msg msg;

	assert_int_equal(agent_domop(tool, XVMC_AG_CREATE, "empty", "B", 0, 0), 0);
	assert_int_equal(agent_domop(tool, XVMC_AG_CREATE, "empty", "B", 0, 0), -EEXIST);
	ask(tool, XVMC_AG_DOMAINS, 8);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = { "vm1", "vm2", "empty" };

		agent_expect(tool, XVMC_AG_DOM, &msg);
		assert_string_equal(msg.dom.name, names[i]);
		assert_string_equal(msg.dom.host, i < 2 ? "A" : "B");
		assert_int_equal(msg.dom.nprocs, i < 2);
		assert_int_equal(msg.dom.nlinks, i < 2);
		assert_int_equal(msg.dom.domid, i + 1);
	}
	expect_end(tool, 8, 0);
	close(c.a);
}

static int app_with_stats(struct world *w, int fd)
{
	struct xvmc_ag_hello hello = {
		.hdr = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_HELLO, .len = sizeof(hello) },
		.role = XVMC_ROLE_APP,
		.domain = "vm1",
		.comm = "counted",
	};
	int sock = agent_connect(&w->run);

	assert_int_equal(xvmc_lw_send(sock, &hello, &fd, 1), 0);
	return sock;
}

static void test_stats(void **state)
{
	struct world *w = *state;
	int fd = memfd_create("xvmc-stats", MFD_CLOEXEC), tool = agent_tool(&w->run), app, pipefd[2];
	uint64_t value[XVMC_S_COUNT] = { 0 };
	union agent_msg msg;

	value[XVMC_S_RINGS] = 2;
	value[XVMC_S_RING_PAGES] = 70;
	value[XVMC_S_SETUPS] = 5;
	assert_int_equal(pwrite(fd, value, sizeof(value), 0), sizeof(value));
	app = app_with_stats(w, fd);
	agent_expect(app, XVMC_AG_WELCOME, &msg);
	ask(tool, XVMC_AG_STATS, 1);
	agent_expect(tool, XVMC_AG_STATS_ROW, &msg);
	assert_int_equal(msg.stats.pid, getpid());
	assert_string_equal(msg.stats.comm, "counted");
	assert_string_equal(msg.stats.domain, "vm1");
	assert_int_equal(msg.stats.value[XVMC_S_SETUPS], 5);
	agent_expect(tool, XVMC_AG_STATS_ROW, &msg);
	assert_int_equal(msg.stats.pid, 0);
	assert_int_equal(msg.stats.value[XVMC_S_RINGS], 2);
	expect_end(tool, 1, 0);
	/* its counts outlive it; its level does not. It shrinks the page, too. */
	close(app);
	agent_sync(&w->run);
	app = app_with_stats(w, fd);
	agent_expect(app, XVMC_AG_WELCOME, &msg);
	assert_int_equal(ftruncate(fd, 8), 0);
	ask(tool, XVMC_AG_STATS, 2);
	agent_expect(tool, XVMC_AG_STATS_ROW, &msg);
	assert_int_equal(msg.stats.value[XVMC_S_SETUPS], 0);
	agent_expect(tool, XVMC_AG_STATS_ROW, &msg);
	assert_int_equal(msg.stats.nprocs, 2);
	assert_int_equal(msg.stats.value[XVMC_S_SETUPS], 5);
	assert_int_equal(msg.stats.value[XVMC_S_RINGS], 0);
	assert_int_equal(msg.stats.value[XVMC_S_RING_PAGES], 0);
	expect_end(tool, 2, 0);
	/* something that could block a reader is no page */
	assert_int_equal(pipe2(pipefd, O_CLOEXEC), 0);
	app = app_with_stats(w, pipefd[0]);
	expect_end(app, 0, -EPROTO);
}

/* ---- migration ---- */

static void expect_migrate_msg(int sock, uint16_t type, uint32_t self, uint32_t old_domid, union agent_msg *ret_msg)
{
	agent_expect(sock, type, ret_msg);
	assert_int_equal(ret_msg->migrate.self, self);
	assert_int_equal(ret_msg->migrate.old_domid, old_domid);
}

static void start_migration(int tool, const char *domain, const char *host, uint32_t how, uint32_t precopy_ms)
{
	struct xvmc_ag_domop op = { .how = how, .precopy_ms = precopy_ms };

	strcpy(op.domain, domain);
	strcpy(op.host, host);
	agent_send(tool, XVMC_AG_MIGRATE, &op, sizeof(op));
}

static void prepared(int sock, const union agent_msg *prepare)
{
	struct xvmc_ag_word msg = { .epid = prepare->migrate.serial };

	agent_send(sock, XVMC_AG_PREPARED, &msg, sizeof(msg));
}

/* Away and back, prepared; and one on the side that has no link. */
static void test_migrate_prepared(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int other = agent_app(&w->run, "vm3"), tool = agent_tool(&w->run);
	union agent_msg ma, mb, msg;

	start_migration(tool, "vm1", "B", XVMC_MIGRATE_PREPARED, 30);
	expect_migrate_msg(c.a, XVMC_AG_KEEP, 1, 1, &msg);
	expect_migrate_msg(c.b, XVMC_AG_KEEP, 0, 1, &msg);
	expect_migrate_msg(other, XVMC_AG_KEEP, 0, 1, &msg);
	/* during pre-copy the link works */
	relay(c.a, 10, c.link, "still here");
	expect_relayed(c.b, 20, c.link, "still here");
	assert_int_equal(agent_domop(agent_tool(&w->run), XVMC_AG_MIGRATE, "vm1", "C", 0, 0), -EBUSY);
	assert_int_equal(agent_domop(agent_tool(&w->run), XVMC_AG_DESTROY, "vm1", "", 0, 0), -EBUSY);
	expect_migrate_msg(c.a, XVMC_AG_PREPARE, 1, 1, &ma);
	expect_migrate_msg(c.b, XVMC_AG_PREPARE, 0, 1, &mb);
	word(c.a, XVMC_AG_UNLINK, 10, XVMC_R_PREPARE, c.link);
	expect_unlinked(c.b, 20, c.link, XVMC_R_PREPARE);
	prepared(c.a, &ma);
	expect_quiet(w, c.a); /* neither finished nor linked again */
	assert_true(agent_quiet(other));
	prepared(c.b, &mb);
	expect_migrate_msg(c.a, XVMC_AG_FINISH, 1, 1, &msg);
	expect_migrate_msg(c.b, XVMC_AG_FINISH, 0, 1, &msg);
	expect_migrate_msg(other, XVMC_AG_FINISH, 0, 1, &msg);
	agent_expect(c.a, XVMC_AG_VMS, &msg);
	expect_unlinked(c.a, 10, 0, XVMC_R_NOT_CORESIDENT);
	expect_unlinked(c.b, 20, 0, XVMC_R_NOT_CORESIDENT);
	expect_end(tool, 0, 0);
	/* and home: at the end they are together */
	start_migration(tool, "vm1", "A", XVMC_MIGRATE_PREPARED, 0);
	expect_migrate_msg(c.a, XVMC_AG_KEEP, 1, 4, &msg);
	expect_migrate_msg(c.a, XVMC_AG_PREPARE, 1, 4, &ma);
	prepared(c.a, &ma);
	expect_migrate_msg(c.a, XVMC_AG_FINISH, 1, 4, &msg);
	expect_match(c.a, 10, &ma);
	expect_migrate_msg(c.b, XVMC_AG_KEEP, 0, 4, &msg); /* target host */
	expect_match(c.b, 20, &mb);
	assert_int_equal(mb.match.peer_domid, 5);
	expect_end(tool, 0, 0);
}

/* So many pages more than there are. */
static int may_have(int sock, uint32_t pages, bool more)
{
	struct xvmc_ag_pages ask = { .epid = 10, .pages = pages, .more = more };
	union agent_msg msg;

	agent_send(sock, XVMC_AG_PAGES, &ask, sizeof(ask));
	agent_expect(sock, XVMC_AG_PAGES, &msg);
	assert_int_equal(msg.pages.epid, 10);
	return msg.hdr.status;
}

/* Larger rings come out of one half of what the domain may share, however many
 * processes it has; others may have all of it. */
static void test_pages(void **state)
{
	struct world *w = *state;
	int fd = memfd_create("xvmc-stats", MFD_CLOEXEC), app, other, sock;
	uint64_t value[XVMC_S_COUNT] = { [XVMC_S_RING_PAGES] = 30000 };
	struct xvmc_ag_pages none = { .pages = 0 };
	const uint32_t all = 131072; /* --max-grants, by default */
	union agent_msg msg;

	assert_int_equal(pwrite(fd, value, sizeof(value), 0), sizeof(value));
	app = app_with_stats(w, fd);
	agent_expect(app, XVMC_AG_WELCOME, &msg);
	other = agent_app(&w->run, "vm1");
	sock = agent_app(&w->run, "vm2");
	assert_int_equal(may_have(app, all / 2 - 30000, true), 0);
	assert_int_equal(may_have(other, all / 2 - 30000 + 1, true), -ENOSPC);
	assert_int_equal(may_have(other, all - 30000, false), 0);
	assert_int_equal(may_have(other, all - 30000 + 1, false), -ENOSPC);
	assert_int_equal(may_have(other, UINT32_MAX, false), -ENOSPC);
	assert_int_equal(may_have(sock, all / 2, true), 0);
	/* Who may have more is told when there are none; once. */
	agent_send(other, XVMC_AG_PAGES, &none, sizeof(none));
	agent_expect(app, XVMC_AG_SHORT, &msg);
	agent_send(other, XVMC_AG_PAGES, &none, sizeof(none));
	agent_sync(&w->run);
	assert_true(agent_quiet(app));
	assert_true(agent_quiet(other));
	assert_true(agent_quiet(sock));
	close(fd);
}

/* None are made larger while a migration is announced. */
static void test_pages_migrating(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int tool = agent_tool(&w->run);
	union agent_msg msg;

	assert_int_equal(may_have(c.b, 1, false), 0);
	start_migration(tool, "vm1", "B", XVMC_MIGRATE_PREPARED, 0);
	expect_migrate_msg(c.b, XVMC_AG_KEEP, 0, 1, &msg);
	expect_migrate_msg(c.b, XVMC_AG_PREPARE, 0, 1, &msg);
	assert_int_equal(may_have(c.b, 1, false), -ENOSPC);
}

static void test_migrate_unprepared(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int tool = agent_tool(&w->run);
	union agent_msg msg;

	start_migration(tool, "vm2", "B", XVMC_MIGRATE_UNPREPARED, 0);
	expect_migrate_msg(c.a, XVMC_AG_KEEP, 0, 2, &msg);
	expect_migrate_msg(c.a, XVMC_AG_FINISH, 0, 2, &msg);
	expect_unlinked(c.a, 10, c.link, XVMC_R_MIGRATE_PEER);
	expect_unlinked(c.a, 10, 0, XVMC_R_NOT_CORESIDENT);
	expect_migrate_msg(c.b, XVMC_AG_KEEP, 1, 2, &msg);
	expect_migrate_msg(c.b, XVMC_AG_FINISH, 1, 2, &msg);
	expect_unlinked(c.b, 20, c.link, XVMC_R_MIGRATE_SELF);
	expect_end(tool, 0, 0);
	/* late words about what was are no errors */
	relay(c.a, 10, c.link, "too late");
	word(c.b, XVMC_AG_UNLINK, 20, XVMC_R_MIGRATE_SELF, c.link);
	/* the peer follows: together again, at once */
	start_migration(tool, "vm1", "B", XVMC_MIGRATE_UNPREPARED, 0);
	expect_end(tool, 0, 0);
	do
		assert_true(agent_recv(c.b, &msg) > 0);
	while (msg.hdr.type != XVMC_AG_MATCH);
	/* and to the same host: new domid, new link */
	c.link = msg.match.link;
	start_migration(tool, "vm1", "B", XVMC_MIGRATE_UNPREPARED, 0);
	expect_end(tool, 0, 0);
	expect_migrate_msg(c.b, XVMC_AG_KEEP, 0, 4, &msg);
	expect_migrate_msg(c.b, XVMC_AG_FINISH, 0, 4, &msg);
	expect_unlinked(c.b, 20, c.link, XVMC_R_MIGRATE_PEER);
	expect_match(c.b, 20, &msg);
	assert_int_equal(msg.match.peer_domid, 5);
}

/* A process that says in good time that it will not be ready is migrated as
 * it is; nobody waits for it, or asks again. */
static void test_migrate_not_ready(void **state)
{
	struct world *w = *state;
	int a = agent_app(&w->run, "vm1"), tool = agent_tool(&w->run);
	union agent_msg msg;
	struct xvmc_ag_word late = { .hdr = { .status = -EAGAIN } };

	start_migration(tool, "vm1", "B", XVMC_MIGRATE_PREPARED, 0);
	expect_migrate_msg(a, XVMC_AG_KEEP, 1, 1, &msg);
	expect_migrate_msg(a, XVMC_AG_PREPARE, 1, 1, &msg);
	late.epid = msg.migrate.serial;
	agent_send(a, XVMC_AG_PREPARED, &late, sizeof(late));
	expect_migrate_msg(a, XVMC_AG_FINISH, 1, 1, &msg);
	expect_end(tool, 0, 0);
}

static void test_migrate_cancelled(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int tool = agent_tool(&w->run);
	union agent_msg ma, mb;

	start_migration(tool, "vm1", "B", XVMC_MIGRATE_CANCELLED, 0);
	expect_migrate_msg(c.a, XVMC_AG_KEEP, 1, 1, &ma);
	expect_migrate_msg(c.b, XVMC_AG_KEEP, 0, 1, &mb);
	expect_migrate_msg(c.a, XVMC_AG_PREPARE, 1, 1, &ma);
	expect_migrate_msg(c.b, XVMC_AG_PREPARE, 0, 1, &mb);
	word(c.a, XVMC_AG_UNLINK, 10, XVMC_R_PREPARE, c.link);
	prepared(c.a, &ma);
	prepared(c.b, &mb);
	expect_unlinked(c.b, 20, c.link, XVMC_R_PREPARE);
	/* no FINISH; the same domid as before */
	expect_match(c.a, 10, &ma);
	expect_match(c.b, 20, &mb);
	assert_int_equal(mb.match.peer_domid, 1);
	expect_end(tool, 0, 0);
}

static bool is_on(int tool, const char *domain, const char *host)
{
	union agent_msg msg;
	bool yes = false;

	ask(tool, XVMC_AG_DOMAINS, 0);
	while (agent_recv(tool, &msg) > 0 && msg.hdr.type == XVMC_AG_DOM)
		yes |= strcmp(msg.dom.name, domain) == 0 && strcmp(msg.dom.host, host) == 0;
	assert_int_equal(msg.hdr.type, XVMC_AG_END);
	return yes;
}

/* Whoever does not answer, ends, or stops listening: it goes on. */
static void test_migrate_alone(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int tool = agent_tool(&w->run);
	uint64_t before = now_ms();
	union agent_msg msg;

	assert_int_equal(agent_domop(tool, XVMC_AG_MIGRATE, "nobody", "B", 0, 0), -ENOENT);
	start_migration(tool, "vm1", "B", XVMC_MIGRATE_PREPARED, 0);
	expect_end(tool, 0, 0); /* nobody answers PREPARE */
	assert_true(now_ms() - before >= 499);
	assert_true(now_ms() - before < 2000);
	/* the mover's only process ends after PREPARE */
	start_migration(tool, "vm1", "A", XVMC_MIGRATE_PREPARED, 0);
	for (int i = 0; i < 2;) {
		assert_true(agent_recv(c.a, &msg) > 0);
		i += msg.hdr.type == XVMC_AG_PREPARE;
	}
	close(c.a);
	expect_end(tool, 0, 0);
	/* the tool ends first: the migration does not */
	start_migration(tool, "vm1", "C", XVMC_MIGRATE_UNPREPARED, 50);
	agent_sync(&w->run);
	close(tool);
	tool = agent_tool(&w->run);
	assert_int_equal(agent_domop(tool, XVMC_AG_MIGRATE, "vm1", "A", 0, 0), -EBUSY);
	while (!is_on(tool, "vm1", "C"))
		;
}

/* Two at a time, of different domains. */
static void test_migrate_two(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int t1 = agent_tool(&w->run), t2 = agent_tool(&w->run), n[2] = { 0, 0 };
	int socks[2] = { c.a, c.b };
	union agent_msg msg;

	start_migration(t1, "vm1", "B", XVMC_MIGRATE_PREPARED, 10);
	start_migration(t2, "vm2", "B", XVMC_MIGRATE_PREPARED, 10);
	for (int i = 0; i < 2; i++) {
		while (n[i] < 2) {
			assert_true(agent_recv(socks[i], &msg) > 0);
			if (msg.hdr.type != XVMC_AG_PREPARE)
				continue;
			prepared(socks[i], &msg);
			n[i]++;
		}
	}
	expect_end(t1, 0, 0);
	expect_end(t2, 0, 0);
	/* together on the other host */
	for (int i = 0; i < 2; i++)
		do
			assert_true(agent_recv(socks[i], &msg) > 0);
		while (msg.hdr.type != XVMC_AG_MATCH);
	assert_true(msg.match.peer_domid >= 3);
}

static void test_destroy(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	int tool = agent_tool(&w->run);
	union agent_msg msg;

	assert_int_equal(agent_domop(tool, XVMC_AG_DESTROY, "vm1", "", 0, 0), 0);
	expect_migrate_msg(c.b, XVMC_AG_FINISH, 0, 1, &msg);
	expect_unlinked(c.b, 20, c.link, XVMC_R_PEER_DIED);
	expect_migrate_msg(c.a, XVMC_AG_FINISH, 1, 1, &msg);
	agent_expect_end(c.a);
	/* its process may come back: a new guest of that name */
	c.a = agent_hello(&w->run, XVMC_ROLE_APP, "vm1", 1, &msg);
	assert_int_equal(msg.welcome.domid, 3);
	reg(c.a, 10, 0, true);
	expect_match(c.a, 10, &msg);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(test_list),
		T(test_domains),
		T(test_stats),
		T(test_pages),
		T(test_pages_migrating),
		T(test_migrate_prepared),
		T(test_migrate_unprepared),
		T(test_migrate_not_ready),
		T(test_migrate_cancelled),
		T(test_migrate_alone),
		T(test_migrate_two),
		T(test_destroy),
	};

	return fresh_run("xvmcd, tools", tests, sizeof(tests) / sizeof(tests[0]), argc, argv) != 0;
}
