/* SPDX-License-Identifier: MIT */
/*
 * xvmcd as a program: options, its lock, start and end, who may speak to it,
 * and taking over what an earlier one left.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/reason.h"
#include "xvmcd-talk.h"

static void test_options(void **state)
{
	static const char *const wrong[][2] = {
		{ "--nonsense", NULL },	     { "--idle-exit", "soon" },
		{ "--idle-exit", "-1" },     { "--max-grants", "9999999999" },
		{ "--host", "a b" },	     { "--host", "" },
		{ "--ready-fd", "77" },	     { "--xen", "--dom0" },
		{ "leftover", NULL },	     { "--dir", NULL },
	};
	char out[4096], name[300] = "", *line;
	int status;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		status = xvmcd_main(out, sizeof(out), wrong[i][0], wrong[i][1], NULL);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 2);
		/* one clear line */
		line = strchr(out, '\n');
		assert_true(line && line[1] == '\0');
	}
	assert_int_equal(xvmcd_main(out, sizeof(out), "--help", NULL), 0);
	assert_non_null(strstr(out, "--idle-exit"));
	assert_int_equal(xvmcd_main(out, sizeof(out), "--version", NULL), 0);
	status = xvmcd_main(out, sizeof(out), "--dir", "/proc/nothing/here", NULL);
	assert_int_equal(WEXITSTATUS(status), 1);
	memset(name, 'x', sizeof(name) - 1);
	status = xvmcd_main(out, sizeof(out), "--dir", name, NULL);
	assert_int_equal(WEXITSTATUS(status), 1);
}

static void test_lock(void **state)
{
	struct world *w = *state;
	char out[512], pid[32];
	int status;

	status = xvmcd_main(out, sizeof(out), "--dir", w->run.dir, NULL);
	assert_int_equal(WEXITSTATUS(status), 1);
	snprintf(pid, sizeof(pid), "pid %d", (int)w->run.pid);
	assert_non_null(strstr(out, pid));
	close(agent_tool(&w->run)); /* the first one is unharmed */
}

static bool exists(const struct xvmcd_run *run, const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/%s", run->dir, name);
	return access(path, F_OK) == 0;
}

/* In the background, then ended by a tool. */
static void test_daemon(void **state)
{
	struct xvmc_agent_hdr msg = { .serial = 3 };
	struct xvmcd_run run = { 0 };
	union agent_msg answer;
	char out[512];
	int tool;

	strcpy(run.dir, "/tmp/xvmc-test-XXXXXX");
	assert_non_null(mkdtemp(run.dir));
	assert_int_equal(xvmcd_main(out, sizeof(out), "--dir", run.dir, "--daemon", NULL), 0);
	assert_string_equal(out, "");
	/* a second one reports its failure through the first process */
	assert_int_equal(WEXITSTATUS(xvmcd_main(out, sizeof(out), "--dir", run.dir, "--daemon", NULL)), 1);
	assert_non_null(strstr(out, "already"));
	tool = agent_tool(&run);
	agent_send(tool, XVMC_AG_SHUTDOWN, &msg, sizeof(msg));
	agent_expect(tool, XVMC_AG_END, &answer);
	assert_int_equal(answer.hdr.status, 0);
	assert_int_equal(answer.hdr.serial, 3);
	agent_expect_end(tool);
	close(tool);
	/* closed last: by now nobody is to be found there */
	assert_false(exists(&run, "agent.sock") || exists(&run, "hv.sock"));
	assert_true(exists(&run, "xvmcd.log"));
	xvmcd_stop(&run);
}

static void test_idle_exit(void **state)
{
	struct xvmcd_run run;
	int status, app;

	xvmcd_start(&run, "--idle-exit", "1", NULL);
	app = agent_app(&run, "vm1");
	usleep(1200000); /* longer than that with somebody there */
	close(agent_tool(&run));
	close(app);
	assert_int_equal(waitpid(run.pid, &status, 0), run.pid);
	assert_int_equal(status, 0);
	run.pid = 0;
	assert_false(exists(&run, "agent.sock"));
	xvmcd_stop(&run);
}

static void test_hello(void **state)
{
	struct world *w = *state;
	union agent_msg m1, m2, m3;
	struct xvmc_ag_hello hello = { .role = XVMC_ROLE_TOOL, .naddrs = 2 };
	struct xvmc_board *board = map_board(w);
	int s1 = agent_hello(&w->run, XVMC_ROLE_APP, "vm1", 1, &m1);
	int s2 = agent_hello(&w->run, XVMC_ROLE_APP, "vm2", 1, &m2);
	int s3 = agent_hello(&w->run, XVMC_ROLE_APP, "vm1", 1, &m3), tool;

	assert_int_equal(m1.welcome.domid, 1);
	assert_int_equal(m2.welcome.domid, 2);
	assert_int_equal(m3.welcome.domid, 1);
	assert_int_equal(m3.welcome.slot, m1.welcome.slot);
	assert_int_equal(board->magic, XVMC_BOARD_MAGIC);
	assert_int_equal(board->xvmcd_pid, w->run.pid);
	assert_int_equal(board->seq & 1, 0);
	assert_string_equal(board->dom[m2.welcome.slot].name, "vm2");
	assert_string_equal(board->dom[m2.welcome.slot].host_name, "A");
	/* a tool may prepare a domain and its addresses; everybody hears of it */
	tool = agent_connect(&w->run);
	strcpy(hello.domain, "vm3");
	hello.addr[0] = addr("10.0.0.3", 0).ip;
	hello.addr[1] = addr("2001:db8::3", 0).ip;
	agent_send(tool, XVMC_AG_HELLO, &hello, sizeof(hello));
	agent_expect(tool, XVMC_AG_WELCOME, &m3);
	agent_expect(s1, XVMC_AG_VMS, &m1);
	agent_expect(s2, XVMC_AG_VMS, &m2);
	assert_string_equal(board->dom[m3.welcome.slot].name, "vm3");
	assert_int_equal(board->dom[m3.welcome.slot].naddrs, 2);
	assert_memory_equal(&board->dom[m3.welcome.slot].addr[1], &hello.addr[1], 16);
	munmap(board, XVMC_BOARD_SIZE);
	close(s3);
}

static void test_full_board(void **state)
{
	struct world *w = *state;
	int tool = agent_tool(&w->run), app;
	struct xvmc_ag_hello hello = { .role = XVMC_ROLE_APP };
	union agent_msg msg;
	char name[32];

	close(agent_app(&w->run, "short-lived"));
	for (unsigned int i = 0; i < XVMC_BOARD_DOMS - 1; i++) {
		snprintf(name, sizeof(name), "vm%u", i);
		assert_int_equal(agent_domop(tool, XVMC_AG_CREATE, name, "A", 0, 0), 0);
	}
	/* an unused automatic domain makes room, once */
	agent_sync(&w->run);
	assert_int_equal(agent_domop(tool, XVMC_AG_CREATE, "more", "A", 0, 0), 0);
	assert_int_equal(agent_domop(tool, XVMC_AG_CREATE, "more2", "A", 0, 0), -ENOSPC);
	app = agent_connect(&w->run);
	strcpy(hello.domain, "more3");
	agent_send(app, XVMC_AG_HELLO, &hello, sizeof(hello));
	agent_expect(app, XVMC_AG_END, &msg);
	assert_int_equal(msg.hdr.status, -ENOSPC);
	agent_expect_end(app);
	close(agent_app(&w->run, "vm7")); /* one that is there is fine */
	assert_int_equal(agent_domop(tool, XVMC_AG_DESTROY, "vm9", "", 0, 0), 0);
	close(agent_app(&w->run, "more3"));
}

/* Another user's process is turned away; with --open it is not. */
static void test_other_user(void **state)
{
	struct world *w = *state;
	char path[96];
	int status, closed;

	if (geteuid() != 0)
		skip();
	for (int open_to_all = 0; open_to_all < 2; open_to_all++) {
		struct xvmcd_run run = w->run;
		pid_t pid;

		if (open_to_all)
			xvmcd_start(&run, "--open", NULL);
		chmod(run.dir, 0755);
		snprintf(path, sizeof(path), "%s/agent.sock", run.dir);
		chmod(path, 0666);
		pid = fork();
		if (pid == 0) {
			struct xvmc_ag_hello hello = {
				.hdr = { .version = XVMC_AGENT_VERSION, .type = XVMC_AG_HELLO, .len = sizeof(hello) },
				.role = XVMC_ROLE_TOOL,
			};
			struct pollfd pfd = { .events = POLLIN };

			if (setuid(65534) < 0)
				_exit(3);
			pfd.fd = agent_connect(&run);
			send(pfd.fd, &hello, sizeof(hello), MSG_NOSIGNAL);
			poll(&pfd, 1, 5000);
			_exit(recv(pfd.fd, &hello, sizeof(hello), 0) > 0 ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		closed = WEXITSTATUS(status);
		assert_int_equal(closed, !open_to_all);
		if (open_to_all)
			xvmcd_stop(&run);
	}
}

/* ---- restarts ---- */

static void test_restart(void **state)
{
	struct world *w = *state;
	struct couple c = couple(w);
	struct xvmc_board *board = map_board(w);
	int tool = agent_tool(&w->run);
	union agent_msg ma, mb;
	uint64_t link;

	assert_int_equal(agent_domop(tool, XVMC_AG_CREATE, "vm3", "Z", 0, 0), 0);
	assert_int_equal(agent_domop(tool, XVMC_AG_MIGRATE, "vm3", "B", XVMC_MIGRATE_UNPREPARED, 0), 0);
	close(tool);
	xvmcd_kill(&w->run, SIGKILL);
	xvmcd_restart(&w->run, "--host", "Y", NULL);
	w->daemon_fds = fresh_count_fds(w->run.pid);
	assert_int_equal(board->xvmcd_pid, w->run.pid); /* in place */
	assert_int_equal(board->seq & 1, 0);
	close(c.a);
	close(c.b);
	c.a = agent_hello(&w->run, XVMC_ROLE_APP, "vm1", 1, &ma);
	c.b = agent_hello(&w->run, XVMC_ROLE_APP, "vm2", 1, &mb);
	assert_int_equal(ma.welcome.domid, 1);
	assert_int_equal(mb.welcome.domid, 2);
	assert_string_equal(board->dom[ma.welcome.slot].host_name, "A");
	assert_string_equal(board->dom[2].name, "vm3");
	assert_string_equal(board->dom[2].host_name, "B");
	assert_int_equal(board->dom[2].incarnation, 1);
	/* both say the same link: it goes on, silently */
	reg_as(c.a, 10, "127.0.0.1", 4000, "127.0.0.1", 80, c.link);
	reg_as(c.b, 20, "127.0.0.1", 80, "127.0.0.1", 4000, c.link);
	expect_quiet(w, c.a);
	expect_quiet(w, c.b);
	relay(c.a, 10, c.link, "as before");
	expect_relayed(c.b, 20, c.link, "as before");
	/* one says none: it was no link, a new one is made */
	reg_as(c.a, 11, "127.0.0.1", 4001, "127.0.0.1", 80, 555);
	reg_as(c.b, 21, "127.0.0.1", 80, "127.0.0.1", 4001, 0);
	expect_unlinked(c.a, 11, 555, XVMC_R_NO_XVMCD);
	link = expect_match(c.a, 11, &ma);
	assert_int_equal(expect_match(c.b, 21, &mb), link);
	/* they say different ones, or one that is taken */
	reg_as(c.a, 12, "127.0.0.1", 4002, "127.0.0.1", 80, 666);
	reg_as(c.b, 22, "127.0.0.1", 80, "127.0.0.1", 4002, 777);
	expect_unlinked(c.a, 12, 666, XVMC_R_NO_XVMCD);
	expect_unlinked(c.b, 22, 777, XVMC_R_NO_XVMCD);
	expect_match(c.a, 12, &ma);
	expect_match(c.b, 22, &mb);
	reg_as(c.a, 13, "127.0.0.1", 4003, "127.0.0.1", 80, c.link);
	reg_as(c.b, 23, "127.0.0.1", 80, "127.0.0.1", 4003, c.link);
	expect_unlinked(c.a, 13, c.link, XVMC_R_NO_XVMCD);
	expect_match(c.a, 13, &ma);
	/* new domains: the new default host, and no domid again */
	close(agent_hello(&w->run, XVMC_ROLE_APP, "vm4", 1, &ma));
	assert_string_equal(board->dom[ma.welcome.slot].host_name, "Y");
	assert_int_equal(ma.welcome.domid, 5);
	munmap(board, XVMC_BOARD_SIZE);
}

/* Ended while nobody was connected: the next one begins afresh. Ended with
 * somebody there: his domain stays. */
static void test_clean_end(void **state)
{
	struct world *w = *state;
	struct xvmc_board *board = map_board(w);
	union agent_msg msg;
	int app, tool = agent_tool(&w->run);

	close(agent_app(&w->run, "vm1"));
	assert_int_equal(agent_domop(tool, XVMC_AG_CREATE, "vm2", "B", 0, 0), 0);
	close(tool);
	fresh_wait_fds(w->run.pid, w->daemon_fds); /* nobody is connected */
	assert_int_equal(xvmcd_kill(&w->run, SIGTERM), 0);
	assert_false(exists(&w->run, "agent.sock"));
	/* an old mapping sees the end, and what the next one writes */
	assert_int_equal(board->xvmcd_pid, 0);
	assert_int_equal(board->dom[0].in_use + board->dom[1].in_use, 0);
	xvmcd_restart(&w->run, NULL);
	close(agent_app(&w->run, "vm0"));
	app = agent_hello(&w->run, XVMC_ROLE_APP, "vm1", 1, &msg);
	assert_int_equal(msg.welcome.domid, 4);
	assert_int_equal(board->dom[msg.welcome.slot].domid, 4);
	assert_string_equal(board->dom[msg.welcome.slot].name, "vm1");
	assert_int_equal(xvmcd_kill(&w->run, SIGTERM), 0);
	agent_expect_end(app);
	assert_int_equal(board->dom[msg.welcome.slot].domid, 4);
	xvmcd_restart(&w->run, NULL);
	close(agent_hello(&w->run, XVMC_ROLE_APP, "vm1", 1, &msg));
	assert_int_equal(msg.welcome.domid, 4);
	munmap(board, XVMC_BOARD_SIZE);
}

/* A board that was half written, or is not one. */
static void test_bad_board(void **state)
{
	struct world *w = *state;
	uint64_t seed = fresh_seed();
	char path[96], page[XVMC_BOARD_SIZE];
	union agent_msg msg;

	snprintf(path, sizeof(path), "%s/board", w->run.dir);
	close(agent_app(&w->run, "vm1"));
	for (int i = 0; i < 20; i++) {
		int fd, n;

		xvmcd_kill(&w->run, SIGKILL);
		fd = open(path, O_RDWR | O_CLOEXEC);
		assert_true(fd >= 0);
		if (i == 0) {
			assert_int_equal(ftruncate(fd, 100), 0);
		} else {
			assert_true(read(fd, page, sizeof(page)) > 0);
			/* i > 10: also where the magic is */
			for (n = 0; n < 300; n++)
				page[(i > 10 ? 0 : 8) + fresh_random(&seed, i % 2 ? 1000 : 25000)] = (char)fresh_random(&seed, 256);
			assert_true(pwrite(fd, page, sizeof(page), 0) > 0);
		}
		close(fd);
		xvmcd_restart(&w->run, NULL);
		close(agent_hello(&w->run, XVMC_ROLE_APP, "vm2", 1, &msg));
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
		T(test_lock),
		cmocka_unit_test(test_daemon),
		cmocka_unit_test(test_idle_exit),
		T(test_hello),
		T(test_full_board),
		T(test_other_user),
		T(test_restart),
		T(test_clean_end),
		T(test_bad_board),
	};

	return fresh_run("xvmcd", tests, sizeof(tests) / sizeof(tests[0]), argc, argv) != 0;
}
