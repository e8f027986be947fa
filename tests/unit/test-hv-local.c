/* SPDX-License-Identifier: MIT */
/*
 * The local backend: who may map what, running out of everything, the ends of
 * processes, and an xvmcd that dies, hangs, or comes back.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv-world.h"

static void test_other_domain(void **state)
{
	struct world *w = *state;
	struct xvmc_hv *third = open_local(w, "vm3");
	xvmc_gref_t grefs[2];
	struct xvmc_share s;
	struct xvmc_map m;
	struct xvmc_chan a, none;

	share(w, 2, false, &s, grefs);
	assert_int_equal(xvmc_hv_map(third, w->domid[0], grefs, 2, false, XVMC_HV_NO_CLEAR, &m), -EACCES);
	assert_int_equal(xvmc_hv_map(w->hv[0], w->domid[0], grefs, 2, false, XVMC_HV_NO_CLEAR, &m), -EACCES);
	assert_int_equal(xvmc_hv_map(w->hv[1], 999, grefs, 2, false, XVMC_HV_NO_CLEAR, &m), -ENOENT);
	assert_int_equal(xvmc_hv_chan_alloc(w->hv[0], w->domid[1], &a), 0);
	assert_int_equal(xvmc_hv_chan_bind(third, w->domid[0], a.port, &none), -EACCES);
	assert_int_equal(xvmc_hv_chan_alloc(w->hv[0], 999, &none), -ENOENT);
	assert_int_equal(xvmc_hv_share(w->hv[0], 999, 1, false, &s, grefs), -ENOENT);
	xvmc_hv_close(third);
}

/* The grefs of a map call are a run of one share's. */
static void test_grefs_of_one_share(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[8], mixed[2];
	struct xvmc_share s, s2;
	struct xvmc_map m;

	share(w, 4, false, &s, grefs);
	share(w, 4, false, &s2, grefs + 4);
	((char *)s.addr)[2 * PAGE] = 'p';
	assert_int_equal(try_map(w, grefs + 2, 2, false, &m), 0);
	assert_int_equal(((char *)m.addr)[0], 'p');
	mixed[0] = grefs[3];
	mixed[1] = grefs[4];
	assert_true(try_map(w, mixed, 2, false, &m) < 0);
	mixed[1] = grefs[2];
	assert_int_equal(try_map(w, mixed, 2, false, &m), -EINVAL);
	assert_int_equal(try_map(w, grefs, 0, false, &m), -EINVAL);
	mixed[1] = grefs[3] + 1; /* beyond the grant's end */
	assert_int_equal(try_map(w, mixed, 2, false, &m), -ENOENT);
	assert_int_equal(xvmc_hv_share(w->hv[0], w->domid[1], 0, false, &s, grefs), -EINVAL);
	assert_int_equal(xvmc_hv_share(w->hv[0], w->domid[1], 1025, false, &s, grefs), -EINVAL);
}

static void test_exhaustion(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[100];
	struct xvmc_share s[6];
	struct xvmc_chan c[33];
	int n;

	for (n = 0; n < 5; n++)
		share(w, 100, false, &s[n], grefs);
	assert_int_equal(xvmc_hv_share(w->hv[0], w->domid[1], 100, false, &s[5], grefs), -ENOSPC);
	share(w, 12, false, &s[5], grefs);
	assert_int_equal(xvmc_hv_share(w->hv[0], w->domid[1], 1, false, &s[5], grefs), -ENOSPC);
	xvmc_hv_unshare(w->hv[0], &s[1]);
	share(w, 100, false, &s[1], grefs);
	for (n = 0; n < 32; n++)
		assert_int_equal(xvmc_hv_chan_alloc(w->hv[0], w->domid[1], &c[n]), 0);
	assert_int_equal(xvmc_hv_chan_alloc(w->hv[0], w->domid[1], &c[32]), -ENOBUFS);
	xvmc_hv_chan_close(w->hv[0], &c[7]);
	assert_int_equal(xvmc_hv_chan_alloc(w->hv[0], w->domid[1], &c[7]), 0);
}

/* Every operation, at every number of descriptors left: it works or says
 * -EMFILE, and nothing is lost on the way. */
static void test_out_of_fds(void **state)
{
	struct world *w = *state;
	struct fresh_marks before = fresh_mark();
	struct xvmc_share all_pages;
	xvmc_gref_t grefs[512];
	bool all = fresh_watched();

	for (unsigned int room = 0; !all; room++) {
		struct rlimit old, lim;
		xvmc_gref_t gref;
		struct xvmc_share s;
		struct xvmc_map m;
		struct xvmc_chan a, b;
		int rc[4];

		assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
		lim = old;
		/* no new one may have a number above this */
		lim.rlim_cur = (rlim_t)(room + 3);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
		rc[0] = xvmc_hv_share(w->hv[0], w->domid[1], 1, true, &s, &gref);
		rc[1] = rc[0] < 0 ? -EMFILE : try_map(w, &gref, 1, true, &m);
		rc[2] = xvmc_hv_chan_alloc(w->hv[0], w->domid[1], &a);
		rc[3] = rc[2] < 0 ? -EMFILE : xvmc_hv_chan_bind(w->hv[1], w->domid[0], a.port, &b);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
		all = true;
		for (int i = 0; i < 4; i++) {
			if (rc[i] != 0)
				assert_int_equal(rc[i], -EMFILE);
			all = all && rc[i] == 0;
		}
		if (rc[0] == 0)
			xvmc_hv_unshare(w->hv[0], &s);
		if (rc[1] == 0)
			xvmc_hv_unmap(w->hv[1], &m);
		if (rc[2] == 0)
			xvmc_hv_chan_close(w->hv[0], &a);
		if (rc[3] == 0)
			xvmc_hv_chan_close(w->hv[1], &b);
		fresh_check(before);
		assert_true(room < 64);
	}
	/* xvmcd has been told to undo what did not arrive: all can be had */
	for (int i = 0; i < 64; i++) {
		struct xvmc_chan c;

		assert_int_equal(xvmc_hv_chan_alloc(w->hv[i % 2], w->domid[1 - i % 2], &c), 0);
	}
	share(w, 512, false, &all_pages, grefs);
}

/* The kernel would send a signal: we must not even try. */
static void test_file_size_limit(void **state)
{
	struct world *w = *state;
	struct rlimit lim = { PAGE, RLIM_INFINITY };
	xvmc_gref_t grefs[2];
	struct xvmc_share s;

	signal(SIGXFSZ, SIG_DFL);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &lim), 0);
	assert_int_equal(xvmc_hv_share(w->hv[0], w->domid[1], 2, true, &s, grefs), -ENOSPC);
	share(w, 1, true, &s, grefs);
}

static void test_out_of_memory(void **state)
{
	struct world *w = *state;
	struct rlimit lim = { 1, RLIM_INFINITY };
	xvmc_gref_t grefs[16];
	struct xvmc_share s, s2;
	struct xvmc_map m;

	if (fresh_watched())
		return;
	share(w, 1, true, &s, grefs);
	assert_int_equal(setrlimit(RLIMIT_AS, &lim), 0);
	assert_int_equal(xvmc_hv_share(w->hv[0], w->domid[1], 16, true, &s2, grefs + 1), -ENOSPC);
	assert_int_equal(try_map(w, grefs, 1, true, &m), -ENOSPC);
	lim.rlim_cur = RLIM_INFINITY;
	assert_int_equal(setrlimit(RLIMIT_AS, &lim), 0);
	assert_int_equal(try_map(w, grefs, 1, true, &m), 0);
}

/* xvmcd itself is out of descriptors: it says so, lives, and recovers. */
static void test_daemon_out_of_fds(void **state)
{
	struct world *w = *state;
	struct xvmc_chan chans[32];
	struct xvmc_share shares[64];
	xvmc_gref_t gref;
	int rc = 0, nshares = 0, nchans = 0;

	if (fresh_watched())
		return;
	xvmc_hv_close(w->hv[0]);
	xvmc_hv_close(w->hv[1]);
	xvmcd_kill(&w->run, SIGTERM);
	w->run.nofile = 32;
	xvmcd_restart(&w->run, NULL);
	w->daemon_fds = fresh_count_fds(w->run.pid);
	w->hv[0] = open_local(w, "vm1");
	w->hv[1] = open_local(w, "vm2");
	look_who(w);
	while (nshares < 64) {
		rc = xvmc_hv_share(w->hv[0], w->domid[1], 1, true, &shares[nshares], &gref);
		if (rc < 0)
			break;
		nshares++;
	}
	assert_int_equal(rc, -EMFILE);
	assert_true(nshares > 5);
	rc = xvmc_hv_chan_alloc(w->hv[1], w->domid[0], &chans[0]);
	assert_int_equal(rc, -EMFILE);
	/* with room again, all works */
	for (int i = 0; i < 4; i++)
		xvmc_hv_unshare(w->hv[0], &shares[--nshares]);
	while (nchans < 32 && xvmc_hv_chan_alloc(w->hv[0], w->domid[1], &chans[nchans]) == 0)
		nchans++;
	assert_true(nchans > 0);
}

/* ---- local only: ends ---- */

static void test_clear_byte_killed(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[1];
	struct xvmc_share s;
	volatile char *byte;
	int status;
	pid_t pid;

	share(w, 1, true, &s, grefs);
	byte = (char *)s.addr + 128;
	pid = fork();
	if (pid == 0) {
		struct xvmc_hv *hv = open_local(w, "vm2");
		struct xvmc_map m;

		if (xvmc_hv_map(hv, w->domid[0], grefs, 1, true, 128, &m) < 0)
			_exit(1);
		((volatile char *)m.addr)[128] = 1;
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	for (int i = 0; *byte && i < 1000; i++)
		agent_sync(&w->run);
	assert_int_equal(*byte, 0);
}

enum { ENDS, UNSHARES, MOVES, RESTARTS };

/* A process shares a page whose owner byte is 1, something happens, then it
 * is killed. Only where the pages still are its guest's is the byte cleared. */
static void owner_dies(struct world *w, int what)
{
	int up[2], down[2], tool = agent_tool(&w->run), status;
	xvmc_gref_t gref;
	struct xvmc_map m;
	struct xvmc_share s;
	pid_t pid;
	char c = 0;

	assert_int_equal(pipe(up) | pipe(down), 0);
	pid = fork();
	if (pid == 0) {
		struct xvmc_hv *hv = open_local(w, "vm4");
		struct xvmc_hv_self self;

		xvmc_hv_abandon(w->hv[0]);
		xvmc_hv_abandon(w->hv[1]);
		if (xvmc_hv_share(hv, w->domid[1], 1, true, &s, &gref) < 0 ||
		    xvmc_hv_owner_clear(hv, &s, PAGE) != -EINVAL ||
		    xvmc_hv_owner_clear(hv, &s, 2112) < 0)
			_exit(1);
		((volatile char *)s.addr)[2112] = 1;
		xvmc_hv_self(hv, &self);
		if (write(up[1], &gref, sizeof(gref)) < 0 || write(up[1], &self.domid, sizeof(self.domid)) < 0)
			_exit(1);
		if (read(down[0], &c, 1) != 1)
			_exit(1);
		if (what == UNSHARES)
			xvmc_hv_unshare(hv, &s);
		if (what == MOVES)
			while (xvmc_hv_incarnation(hv) == 0)
				xvmc_hv_dispatch(hv);
		if (what == RESTARTS)
			reach_again(hv);
		if (write(up[1], &c, 1) < 0 || read(down[0], &c, 1) != 1)
			_exit(1);
		raise(SIGKILL);
	}
	assert_int_equal(read(up[0], &gref, sizeof(gref)), sizeof(gref));
	assert_int_equal(read(up[0], &w->domid[0], sizeof(w->domid[0])), sizeof(w->domid[0]));
	assert_int_equal(try_map(w, &gref, 1, true, &m), 0);
	if (what == RESTARTS) {
		xvmcd_kill(&w->run, SIGKILL);
		xvmcd_restart(&w->run, NULL);
		w->daemon_fds = fresh_count_fds(w->run.pid);
		reach_again(w->hv[0]);
		reach_again(w->hv[1]);
	}
	assert_int_equal(write(down[1], &c, 1), 1);
	if (what == MOVES)
		assert_int_equal(agent_domop(tool, XVMC_AG_MIGRATE, "vm4", "B", XVMC_MIGRATE_UNPREPARED, 0), 0);
	assert_int_equal(read(up[0], &c, 1), 1);
	assert_int_equal(((volatile char *)m.addr)[2112], 1);
	assert_int_equal(write(down[1], &c, 1), 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	if (what == ENDS || what == RESTARTS)
		for (int i = 0; i < 5000 && ((volatile char *)m.addr)[2112]; i++)
			usleep(1000);
	else
		agent_sync(&w->run);
	assert_int_equal(((volatile char *)m.addr)[2112], what == UNSHARES || what == MOVES);
	for (int i = 0; i < 2; i++) {
		close(up[i]);
		close(down[i]);
	}
	close(tool);
}

static void test_owner_ends(void **state)
{
	owner_dies(*state, ENDS);
}

static void test_owner_unshares(void **state)
{
	owner_dies(*state, UNSHARES);
}

static void test_owner_moves(void **state)
{
	owner_dies(*state, MOVES);
}

static void test_owner_restarts(void **state)
{
	owner_dies(*state, RESTARTS);
}

/* What we had stays; nothing new; then a new xvmcd, and all is well. */
static void test_xvmcd_dies(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[3];
	struct xvmc_share s, none;
	struct xvmc_map m, m2;
	struct xvmc_chan a, b, c, d;
	uint32_t old[2] = { w->domid[0], w->domid[1] };
	int fd = xvmc_hv_event_fd(w->hv[0]);

	share(w, 1, true, &s, grefs);
	assert_int_equal(try_map(w, grefs, 1, true, &m), 0);
	channel(w, &a, &b);
	assert_false(readable(fd, 0));
	xvmcd_kill(&w->run, SIGKILL);
	assert_true(readable(fd, 1000));
	assert_int_equal(xvmc_hv_dispatch(w->hv[0]), -EIO);
	assert_false(readable(fd, 50)); /* said once: no busy loop */
	assert_int_equal(xvmc_hv_share(w->hv[0], w->domid[1], 1, true, &none, grefs + 1), -EIO);
	assert_int_equal(xvmc_hv_chan_alloc(w->hv[1], w->domid[0], &c), -EIO);
	strcpy(m.addr, "goes on");
	assert_string_equal(s.addr, "goes on");
	assert_int_equal(xvmc_hv_notify(w->hv[0], &a), 0);
	assert_true(readable(b.wait_fd, 1000));
	xvmcd_restart(&w->run, NULL);
	w->daemon_fds = fresh_count_fds(w->run.pid);
	reach_again(w->hv[0]);
	reach_again(w->hv[1]);
	look_who(w);
	assert_int_equal(w->domid[0], old[0]);
	assert_int_equal(w->domid[1], old[1]);
	assert_int_equal(xvmc_hv_event_fd(w->hv[0]), fd);
	/* the old ones live, new ones can be had */
	assert_string_equal(s.addr, "goes on");
	assert_int_equal(xvmc_hv_notify(w->hv[1], &b), 0);
	assert_true(readable(a.wait_fd, 1000));
	share(w, 1, true, &none, grefs + 1);
	assert_int_equal(try_map(w, grefs + 1, 1, true, &m2), 0);
	channel(w, &c, &d);
	/* releasing an old one does not release a new one of that number */
	xvmc_hv_unshare(w->hv[0], &s);
	xvmc_hv_unmap(w->hv[1], &m);
	xvmc_hv_chan_close(w->hv[0], &a);
	xvmc_hv_chan_close(w->hv[1], &b);
	sync_hv(w, 0);
	xvmc_hv_unmap(w->hv[1], &m2);
	assert_int_equal(try_map(w, grefs + 1, 1, true, &m2), 0);
}

/* An xvmcd that is stopped: each call ends in bounded time, and what it did
 * after all is undone. */
static void test_xvmcd_hangs(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[1];
	struct xvmc_share s;
	struct xvmc_chan c;
	int rc;

	kill(w->run.pid, SIGSTOP);
	assert_int_equal(xvmc_hv_share(w->hv[0], w->domid[1], 1, true, &s, grefs), -EIO);
	/* not another wait: it is known to hang */
	for (int i = 0; i < 100; i++)
		assert_int_equal(xvmc_hv_chan_alloc(w->hv[0], w->domid[1], &c), -EIO);
	kill(w->run.pid, SIGCONT);
	do
		rc = xvmc_hv_share(w->hv[0], w->domid[1], 512, true, &s, (xvmc_gref_t[512]){ 0 });
	while (rc == -EIO && readable(xvmc_hv_event_fd(w->hv[0]), 1000));
	/* all 512 pages: the late grant was taken back */
	assert_int_equal(rc, 0);
}

/* ---- opening ---- */

static void test_open(void **state)
{
	const struct xvmc_hv_local_spec nowhere = { "/nonexistent", "vm1" };
	struct xvmc_hv_local_spec spec = { NULL, "not a name" };
	struct fresh_marks before = fresh_mark();
	struct xvmcd_run run;
	struct xvmc_hv *hv;

	assert_int_equal(xvmc_hv_open_local(&nowhere, &hv), -ENOENT);
	xvmcd_start(&run, NULL);
	spec.dir = run.dir;
	assert_int_equal(xvmc_hv_open_local(&spec, &hv), -EINVAL);
	spec.domain = "this-name-is-much-too-long-for-a-domain";
	assert_int_equal(xvmc_hv_open_local(&spec, &hv), -EINVAL);
	spec.domain = "vm1";
	assert_int_equal(xvmc_hv_open_local(&spec, &hv), 0);
	xvmc_hv_close(hv);
	xvmcd_kill(&run, SIGKILL); /* leaves its sockets behind */
	assert_int_equal(xvmc_hv_open_local(&spec, &hv), -ENOENT);
	xvmcd_stop(&run);
	xvmc_hv_close(NULL);
	xvmc_hv_abandon(NULL);
	fresh_check(before);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		L(test_other_domain),
		L(test_grefs_of_one_share),
		L(test_exhaustion),
		L(test_out_of_fds),
		L(test_file_size_limit),
		L(test_out_of_memory),
		L(test_daemon_out_of_fds),
		L(test_clear_byte_killed),
		L(test_owner_ends),
		L(test_owner_unshares),
		L(test_owner_moves),
		L(test_owner_restarts),
		L(test_xvmcd_dies),
		L(test_xvmcd_hangs),
	};

	return fresh_run("hv, local backend", tests, sizeof(tests) / sizeof(tests[0]), argc, argv) != 0;
}
