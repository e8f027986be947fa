/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor port's contract (lib/hv/hv.h), held against every backend
 * that can be opened here, and what only the local one can be asked:
 * exhaustion, a dying xvmcd, and migration.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fresh.h"
#include "hv/hv.h"
#include "xvmcd.h"

#define PAGE 4096u

/* Two guests, or with Xen this one guest twice. */
struct world {
	bool xen;
	struct fresh_marks marks;
	struct xvmcd_run run;
	struct xvmc_hv *hv[2];
	uint32_t domid[2];
	int daemon_fds;
};

static struct xvmc_hv *open_local(const struct world *w, const char *domain)
{
	const struct xvmc_hv_local_spec spec = { w->run.dir, domain };
	struct xvmc_hv *hv;

	assert_int_equal(xvmc_hv_open_local(&spec, &hv), 0);
	return hv;
}

static void look_who(struct world *w)
{
	struct xvmc_hv_self self;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(xvmc_hv_self(w->hv[i], &self), 0);
		assert_int_equal(self.incarnation, xvmc_hv_incarnation(w->hv[i]));
		w->domid[i] = self.domid;
	}
}

static int setup_local(void **state)
{
	static struct world w;

	w.marks = fresh_mark();
	xvmcd_start(&w.run, "--max-grants", "512", "--max-ports", "32", NULL);
	w.daemon_fds = fresh_count_fds(w.run.pid);
	w.hv[0] = open_local(&w, "vm1");
	w.hv[1] = open_local(&w, "vm2");
	look_who(&w);
	*state = &w;
	return 0;
}

static int setup_xen(void **state)
{
	static struct world w = { .xen = true };

	w.marks = fresh_mark();
	for (int i = 0; i < 2; i++)
		assert_int_equal(xvmc_hv_open_xen(&w.hv[i]), 0);
	look_who(&w);
	*state = &w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;

	xvmc_hv_close(w->hv[0]);
	xvmc_hv_close(w->hv[1]);
	if (!w->xen) {
		if (w->run.pid)
			fresh_wait_fds(w->run.pid, w->daemon_fds);
		xvmcd_stop(&w->run);
	}
	fresh_check(w->marks);
	return 0;
}

static void share(struct world *w, size_t npages, bool writable,
		  struct xvmc_share *ret_share, xvmc_gref_t *ret_grefs)
{
	assert_int_equal(xvmc_hv_share(w->hv[0], w->domid[1], npages, writable, ret_share, ret_grefs), 0);
	assert_int_equal(ret_share->npages, npages);
	assert_int_equal((uintptr_t)ret_share->addr % PAGE, 0);
}

static int try_map(struct world *w, const xvmc_gref_t *grefs, size_t n,
		   bool writable, struct xvmc_map *ret_map)
{
	return xvmc_hv_map(w->hv[1], w->domid[0], grefs, n, writable, XVMC_HV_NO_CLEAR, ret_map);
}

static void channel(struct world *w, struct xvmc_chan *ret_a, struct xvmc_chan *ret_b)
{
	assert_int_equal(xvmc_hv_chan_alloc(w->hv[0], w->domid[1], ret_a), 0);
	assert_int_equal(xvmc_hv_chan_bind(w->hv[1], w->domid[0], ret_a->port, ret_b), 0);
}

static bool readable(int fd, int ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, ms) == 1 && pfd.revents & POLLIN;
}

/* A call, so that what was told before has been handled. */
static void sync_hv(struct world *w, int i)
{
	struct xvmc_chan chan;

	assert_int_equal(xvmc_hv_chan_alloc(w->hv[i], w->domid[!i], &chan), 0);
	xvmc_hv_chan_close(w->hv[i], &chan);
}

/* ---- the contract, any backend ---- */

static void test_share_read_only(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[5];
	struct xvmc_share s;
	struct xvmc_map m, none;
	int status;
	pid_t pid;

	share(w, 5, false, &s, grefs);
	for (size_t i = 0; i < 5 * PAGE; i++)
		assert_int_equal(((char *)s.addr)[i], 0);
	assert_int_equal(try_map(w, grefs, 5, true, &none), -EACCES);
	assert_int_equal(try_map(w, grefs, 5, false, &m), 0);
	memset(s.addr, 'x', 5 * PAGE);
	assert_memory_equal(m.addr, s.addr, 5 * PAGE);
	((char *)s.addr)[4 * PAGE] = 'y';
	assert_int_equal(((volatile char *)m.addr)[4 * PAGE], 'y');
	/* it cannot be made writable later either */
	assert_int_equal(mprotect(m.addr, PAGE, PROT_READ | PROT_WRITE), -1);
	xvmc_hv_unmap(w->hv[1], &m);
	xvmc_hv_unshare(w->hv[0], &s);
	/* neither exists in a child */
	share(w, 1, false, &s, grefs);
	pid = fork();
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		*(volatile char *)s.addr = 1;
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	xvmc_hv_unshare(w->hv[0], &s);
}

static void test_share_writable(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[2];
	struct xvmc_share s;
	struct xvmc_map m;

	share(w, 2, true, &s, grefs);
	assert_int_equal(try_map(w, grefs, 2, true, &m), 0);
	strcpy(m.addr, "from the peer");
	assert_string_equal(s.addr, "from the peer");
	strcpy((char *)s.addr + PAGE, "from the owner");
	assert_string_equal((char *)m.addr + PAGE, "from the owner");
	xvmc_hv_unmap(w->hv[1], &m);
	xvmc_hv_unshare(w->hv[0], &s);
}

static void test_share_ends(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[1], other[1];
	struct xvmc_share s, s2;
	struct xvmc_map m, none;

	share(w, 1, false, &s, grefs);
	share(w, 1, false, &s2, other);
	assert_int_not_equal(grefs[0], other[0]);
	assert_int_equal(try_map(w, grefs, 1, false, &m), 0);
	strcpy(s.addr, "still here");
	xvmc_hv_unshare(w->hv[0], &s);
	/* the mapping keeps its memory, a new one is not to be had */
	assert_string_equal(m.addr, "still here");
	sync_hv(w, 0);
	assert_int_equal(try_map(w, grefs, 1, false, &none), -ENOENT);
	xvmc_hv_unmap(w->hv[1], &m);
	xvmc_hv_unshare(w->hv[0], &s2);
}

static void test_channel(void **state)
{
	struct world *w = *state;
	struct xvmc_chan a, b;
	uint64_t n;

	channel(w, &a, &b);
	assert_false(readable(a.wait_fd, 0));
	assert_false(readable(b.wait_fd, 0));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(xvmc_hv_notify(w->hv[0], &a), 0);
		assert_true(readable(b.wait_fd, 1000));
		assert_false(readable(a.wait_fd, 0));
		if (b.self_ring) {
			assert_int_equal(read(b.wait_fd, &n, 8), 8);
			assert_false(readable(b.wait_fd, 0));
		}
	}
	assert_int_equal(xvmc_hv_notify(w->hv[1], &b), 0);
	assert_true(readable(a.wait_fd, 1000));
	/* one side may go first; the other does not notice */
	xvmc_hv_chan_close(w->hv[0], &a);
	assert_int_equal(xvmc_hv_notify(w->hv[1], &b), 0);
	xvmc_hv_chan_close(w->hv[1], &b);
}

/* Every notification is a new edge. */
static void test_channel_epoll(void **state)
{
	struct world *w = *state;
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	struct xvmc_chan a, b;
	int ep = epoll_create1(EPOLL_CLOEXEC);

	channel(w, &a, &b);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, b.wait_fd, &ev), 0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(epoll_wait(ep, &ev, 1, 0), 0);
		assert_int_equal(xvmc_hv_notify(w->hv[0], &a), 0);
		assert_int_equal(epoll_wait(ep, &ev, 1, 1000), 1);
	}
	xvmc_hv_chan_close(w->hv[0], &a);
	xvmc_hv_chan_close(w->hv[1], &b);
	close(ep);
}

struct sleeper {
	int fd;
	atomic_uint woken;
};

static void *sleep_on(void *arg)
{
	struct sleeper *s = arg;
	uint64_t n;

	while (s->woken < 100) {
		if (read(s->fd, &n, 8) != 8)
			break;
		s->woken += (unsigned int)n;
	}
	return NULL;
}

/* With self_ring a blocking read sleeps, and we can wake our own sleepers. */
static void test_channel_sleep(void **state)
{
	struct world *w = *state;
	struct xvmc_chan a, b;
	struct sleeper s = { 0 };
	uint64_t one = 1;
	pthread_t t;

	channel(w, &a, &b);
	if (b.self_ring) {
		s.fd = b.wait_fd;
		assert_int_equal(pthread_create(&t, NULL, sleep_on, &s), 0);
		for (int i = 0; i < 50; i++) {
			assert_int_equal(xvmc_hv_notify(w->hv[0], &a), 0);
			assert_int_equal(write(b.wait_fd, &one, 8), 8);
		}
		assert_int_equal(pthread_join(t, NULL), 0);
		assert_int_equal(s.woken, 100);
	}
	xvmc_hv_chan_close(w->hv[0], &a);
	xvmc_hv_chan_close(w->hv[1], &b);
}

static void test_no_such_port(void **state)
{
	struct world *w = *state;
	struct xvmc_chan a, b, none;

	assert_int_equal(xvmc_hv_chan_bind(w->hv[1], w->domid[0], 999999, &none), -ENOENT);
	channel(w, &a, &b);
	assert_int_equal(xvmc_hv_chan_bind(w->hv[1], w->domid[0], a.port, &none), -ENOENT);
	xvmc_hv_chan_close(w->hv[1], &b);
	xvmc_hv_chan_close(w->hv[0], &a);
	sync_hv(w, 0);
	assert_int_equal(xvmc_hv_chan_bind(w->hv[1], w->domid[0], a.port, &none), -ENOENT);
}

/* Closing a handle releases all it had (the teardown looks). */
static void test_close_releases(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[4];
	struct xvmc_share s;
	struct xvmc_map m;
	struct xvmc_chan a, b;

	share(w, 3, true, &s, grefs);
	assert_int_equal(try_map(w, grefs, 3, true, &m), 0);
	channel(w, &a, &b);
}

/* After fork the parent goes on, whatever the child does. */
static void test_fork(void **state)
{
	struct world *w = *state;
	struct fresh_marks before = w->marks;
	xvmc_gref_t grefs[2];
	struct xvmc_share s;
	struct xvmc_map m;
	struct xvmc_chan a, b;
	int status;
	pid_t pid;

	share(w, 2, true, &s, grefs);
	assert_int_equal(try_map(w, grefs, 2, true, &m), 0);
	channel(w, &a, &b);
	pid = fork();
	if (pid == 0) {
		struct fresh_marks now;

		xvmc_hv_abandon(w->hv[0]);
		xvmc_hv_abandon(w->hv[1]);
		now = fresh_mark();
		_exit(now.fds != before.fds || now.maps != before.maps);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	strcpy(m.addr, "alive");
	assert_string_equal(s.addr, "alive");
	assert_int_equal(xvmc_hv_notify(w->hv[0], &a), 0);
	assert_true(readable(b.wait_fd, 1000));
	sync_hv(w, 0);
	xvmc_hv_unmap(w->hv[1], &m);
	xvmc_hv_unshare(w->hv[0], &s);
	xvmc_hv_chan_close(w->hv[1], &b);
	xvmc_hv_chan_close(w->hv[0], &a);
}

static void test_clear_byte_unmap(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[1];
	struct xvmc_share s;
	struct xvmc_map m;
	volatile char *byte;

	share(w, 1, true, &s, grefs);
	byte = (char *)s.addr + 128;
	assert_int_equal(xvmc_hv_map(w->hv[1], w->domid[0], grefs, 1, true, 128, &m), 0);
	((volatile char *)m.addr)[128] = 1;
	((volatile char *)m.addr)[129] = 1;
	assert_int_equal(*byte, 1);
	xvmc_hv_unmap(w->hv[1], &m);
	assert_int_equal(*byte, 0);
	assert_int_equal(byte[1], 1);
	xvmc_hv_unshare(w->hv[0], &s);
}

/* ---- local only: rights ---- */

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

/* The new xvmcd makes itself known. */
static void reach_again(struct xvmc_hv *hv)
{
	while (xvmc_hv_dispatch(hv) < 0)
		assert_true(readable(xvmc_hv_event_fd(hv), 5000));
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

/* ---- local only: migration ---- */

/* Asks for a migration and serves both handles until it has ended. */
static void migrate(struct world *w, const char *host, uint32_t how)
{
	struct xvmc_ag_domop op = { .how = how };
	int tool = agent_tool(&w->run);
	union agent_msg msg;

	strcpy(op.domain, "vm1");
	strcpy(op.host, host);
	agent_send(tool, XVMC_AG_MIGRATE, &op, sizeof(op));
	for (;;) {
		struct pollfd pfd[3] = {
			{ .fd = tool, .events = POLLIN },
			{ .fd = xvmc_hv_event_fd(w->hv[0]), .events = POLLIN },
			{ .fd = xvmc_hv_event_fd(w->hv[1]), .events = POLLIN },
		};

		assert_true(poll(pfd, 3, 5000) > 0);
		for (int i = 0; i < 2; i++)
			if (pfd[i + 1].revents)
				assert_int_equal(xvmc_hv_dispatch(w->hv[i]), 0);
		if (pfd[0].revents)
			break;
	}
	agent_expect(tool, XVMC_AG_END, &msg);
	assert_int_equal(msg.hdr.status, 0);
	close(tool);
}

static void test_migrate_identity(void **state)
{
	struct world *w = *state;
	struct xvmc_hv_self before, after;
	struct xvmc_share s;
	xvmc_gref_t gref;

	xvmc_hv_self(w->hv[0], &before);
	migrate(w, "B", XVMC_MIGRATE_CANCELLED);
	xvmc_hv_self(w->hv[0], &after);
	assert_memory_equal(&before, &after, sizeof(before));
	migrate(w, "B", XVMC_MIGRATE_UNPREPARED);
	xvmc_hv_self(w->hv[0], &after);
	assert_int_not_equal(after.domid, before.domid);
	assert_int_equal(after.incarnation, before.incarnation + 1);
	assert_int_equal(xvmc_hv_incarnation(w->hv[0]), after.incarnation);
	/* not on the same host any more */
	assert_int_equal(xvmc_hv_share(w->hv[1], after.domid, 1, false, &s, &gref), -ENOENT);
	migrate(w, "A", XVMC_MIGRATE_PREPARED);
	look_who(w);
	share(w, 1, false, &s, &gref);
}

static void test_migrate_channels(void **state)
{
	struct world *w = *state;
	struct xvmc_chan a, b, c, d;
	uint64_t n;

	channel(w, &a, &b);
	migrate(w, "A", XVMC_MIGRATE_UNPREPARED); /* same host, new domid */
	assert_int_equal(xvmc_hv_notify(w->hv[0], &a), 0);
	assert_int_equal(xvmc_hv_notify(w->hv[1], &b), 0);
	assert_false(readable(a.wait_fd, 0));
	assert_false(readable(b.wait_fd, 0));
	/* our own sleepers can still be woken */
	n = 1;
	assert_int_equal(write(a.wait_fd, &n, 8), 8);
	assert_true(readable(a.wait_fd, 0));
	look_who(w);
	channel(w, &c, &d);
	assert_int_equal(xvmc_hv_notify(w->hv[0], &c), 0);
	assert_true(readable(d.wait_fd, 1000));
	xvmc_hv_chan_close(w->hv[0], &a);
	xvmc_hv_chan_close(w->hv[1], &b);
	assert_int_equal(xvmc_hv_notify(w->hv[1], &d), 0);
	assert_true(readable(c.wait_fd, 1000));
}

#define BIG 64u
#define WORDS (BIG * PAGE / 8)

struct racer {
	pthread_t thread;
	volatile uint64_t *words;
	atomic_bool stop;
	atomic_uint laps;
	uint64_t last; /* writer: the last value written, everywhere */
	bool bad;
	bool gone;     /* reader: has seen the hole */
};

/* Reads the peer's pages over and over. From one instruction to the next all
 * is 0xFF: never a word of before after a word of after, never a fault. */
static void *read_over_and_over(void *arg)
{
	struct racer *r = arg;

	while (!r->stop) {
		for (size_t i = 0; i < WORDS; i++) {
			uint64_t v = r->words[i];

			if (v == UINT64_MAX)
				r->gone = true;
			else if (r->gone)
				r->bad = true;
		}
		r->laps++;
	}
	return NULL;
}

/* Writes its own pages over and over and never finds anything else there
 * than what it wrote. */
static void *write_over_and_over(void *arg)
{
	struct racer *r = arg;

	for (uint64_t lap = 1; !r->stop; lap++) {
		for (size_t i = 0; i < WORDS; i++) {
			if (r->words[i] != (lap - 1) * 3 + (lap > 1 ? i : 0))
				r->bad = true;
			r->words[i] = lap * 3 + i;
		}
		r->last = lap;
		r->laps++;
	}
	return NULL;
}

static void start(struct racer *r, void *words, void *(*run)(void *))
{
	r->words = words;
	assert_int_equal(pthread_create(&r->thread, NULL, run, r), 0);
	while (r->laps < 3)
		;
}

static void stop(struct racer *r)
{
	unsigned int laps = r->laps;

	while (r->laps < laps + 3)
		;
	r->stop = true;
	pthread_join(r->thread, NULL);
	assert_false(r->bad);
}

/* vm1 moves: its view of vm2's pages becomes a hole in mid-copy. */
static void test_migrate_hole(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[BIG + 1];
	struct xvmc_share s, sw;
	struct xvmc_map m, mw;
	struct racer r = { 0 };

	assert_int_equal(xvmc_hv_share(w->hv[1], w->domid[0], BIG, false, &s, grefs), 0);
	assert_int_equal(xvmc_hv_share(w->hv[1], w->domid[0], 1, true, &sw, grefs + BIG), 0);
	assert_int_equal(xvmc_hv_map(w->hv[0], w->domid[1], grefs, BIG, false, XVMC_HV_NO_CLEAR, &m), 0);
	assert_int_equal(xvmc_hv_map(w->hv[0], w->domid[1], grefs + BIG, 1, true, 128, &mw), 0);
	((volatile char *)mw.addr)[128] = 1;
	memset(s.addr, 'x', BIG * PAGE);
	start(&r, m.addr, read_over_and_over);
	migrate(w, "B", XVMC_MIGRATE_UNPREPARED);
	stop(&r);
	assert_true(r.gone);
	for (size_t i = 0; i < PAGE; i++)
		assert_int_equal(((unsigned char *)mw.addr)[i], 0xff);
	/* writes vanish */
	strcpy(mw.addr, "into the hole");
	assert_int_equal(((volatile char *)sw.addr)[0], 0);
	xvmc_hv_unmap(w->hv[0], &m);
	xvmc_hv_unmap(w->hv[0], &mw);
	/* the mapping was lost, it did not end: nobody cleared the byte */
	assert_int_equal(((volatile char *)sw.addr)[128], 1);
	/* the owner has not moved and has lost nothing */
	assert_int_equal(((char *)s.addr)[BIG * PAGE - 1], 'x');
	xvmc_hv_unshare(w->hv[1], &s);
	xvmc_hv_unshare(w->hv[1], &sw);
}

/* vm1 moves in the middle of writing its own read-only granted pages: for it
 * nothing happens; vm2 sees them as they were, for as long as it likes. */
static void test_migrate_writer(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[BIG];
	struct xvmc_share s;
	struct xvmc_map m;
	struct racer r = { 0 };
	uint64_t *theirs, before[2];

	share(w, BIG, false, &s, grefs);
	assert_int_equal(try_map(w, grefs, BIG, false, &m), 0);
	start(&r, s.addr, write_over_and_over);
	migrate(w, "B", XVMC_MIGRATE_UNPREPARED);
	theirs = m.addr;
	before[0] = ((volatile uint64_t *)theirs)[0];
	before[1] = ((volatile uint64_t *)theirs)[WORDS - 1];
	stop(&r);
	for (size_t i = 0; i < WORDS; i++)
		assert_int_equal(((uint64_t *)s.addr)[i], r.last * 3 + i);
	assert_int_equal(((volatile uint64_t *)theirs)[0], before[0]);
	assert_int_equal(((volatile uint64_t *)theirs)[WORDS - 1], before[1]);
	assert_true(theirs[0] / 3 < r.last);
	xvmc_hv_unshare(w->hv[0], &s);
	assert_int_equal(theirs[0], before[0]);
	xvmc_hv_unmap(w->hv[1], &m);
}

static void *add_over_and_over(void *arg)
{
	struct racer *r = arg;

	while (!r->stop) {
		__atomic_fetch_add(r->words, 1, __ATOMIC_SEQ_CST);
		r->laps++;
		r->last++;
	}
	return NULL;
}

/* The page both write: in the mover's copy the first half is as old as the
 * beginning of pre-copy, the second is as it was; what the owner itself wrote
 * is exact, to the last atomic operation. */
static void test_migrate_older_page(void **state)
{
	struct world *w = *state;
	struct xvmc_ag_domop op = { .how = XVMC_MIGRATE_UNPREPARED, .precopy_ms = 500 };
	int tool = agent_tool(&w->run), fd = xvmc_hv_event_fd(w->hv[0]);
	xvmc_gref_t gref;
	struct xvmc_share s;
	struct xvmc_map m;
	volatile uint64_t *own, *theirs;
	struct racer r = { 0 };
	union agent_msg msg;

	share(w, 1, true, &s, &gref);
	assert_int_equal(try_map(w, &gref, 1, true, &m), 0);
	own = s.addr;
	theirs = m.addr;
	theirs[0] = theirs[256] = 55;
	start(&r, (void *)&own[300], add_over_and_over);
	strcpy(op.domain, "vm1");
	strcpy(op.host, "B");
	agent_send(tool, XVMC_AG_MIGRATE, &op, sizeof(op));
	assert_true(readable(fd, 5000));
	assert_int_equal(xvmc_hv_dispatch(w->hv[0]), 0); /* pre-copy */
	theirs[0] = theirs[256] = 117;
	assert_int_equal(own[0], 117); /* still shared */
	assert_true(readable(fd, 5000));
	assert_int_equal(xvmc_hv_dispatch(w->hv[0]), 0); /* the instant */
	agent_expect(tool, XVMC_AG_END, &msg);
	assert_int_equal(own[0], 55);
	assert_int_equal(own[256], 117);
	/* from here on each has its own */
	theirs[0] = theirs[256] = 200;
	assert_int_equal(own[0], 55);
	assert_int_equal(own[256], 117);
	own[1] = 3;
	assert_int_equal(theirs[1], 0);
	stop(&r);
	assert_int_equal(own[300], r.last);
	xvmc_hv_unshare(w->hv[0], &s);
	assert_int_equal(theirs[0], 200);
	xvmc_hv_unmap(w->hv[1], &m);
	close(tool);
}

/* A process that does not listen is waited for, but not for ever; when it
 * listens again it learns all that happened. */
static void test_migrate_deaf(void **state)
{
	struct world *w = *state;
	int tool = agent_tool(&w->run);
	struct xvmc_hv_self self;
	xvmc_gref_t gref;
	struct xvmc_share s;
	struct xvmc_map m;

	assert_int_equal(xvmc_hv_share(w->hv[1], w->domid[0], 1, false, &s, &gref), 0);
	assert_int_equal(xvmc_hv_map(w->hv[0], w->domid[1], &gref, 1, false, XVMC_HV_NO_CLEAR, &m), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(agent_domop(tool, XVMC_AG_MIGRATE, "vm1", i % 2 ? "A" : "B", XVMC_MIGRATE_UNPREPARED, 0), 0);
	assert_int_equal(xvmc_hv_incarnation(w->hv[0]), 3);
	assert_int_equal(((volatile unsigned char *)m.addr)[0], 0);
	/* a call finds the words before its answer */
	assert_int_equal(xvmc_hv_share(w->hv[0], w->domid[1], 1, false, &s, &gref), -ENOENT);
	assert_int_equal(((volatile unsigned char *)m.addr)[0], 0xff);
	assert_int_equal(xvmc_hv_self(w->hv[0], &self), 0);
	assert_int_equal(self.incarnation, 3);
	close(tool);
}

/* xvmcd itself is out of descriptors: it says so, lives, and recovers. */
static void test_daemon_out_of_fds(void **state)
{
	struct world *w = *state;
	struct xvmc_chan chans[32];
	struct xvmc_share shares[64];
	xvmc_gref_t gref;
	int rc, nshares = 0, nchans = 0;

	xvmc_hv_close(w->hv[0]);
	xvmc_hv_close(w->hv[1]);
	xvmcd_kill(&w->run, SIGTERM);
	w->run.nofile = 32;
	xvmcd_restart(&w->run, NULL);
	w->daemon_fds = fresh_count_fds(w->run.pid);
	w->hv[0] = open_local(w, "vm1");
	w->hv[1] = open_local(w, "vm2");
	look_who(w);
	for (;;) {
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
	while (xvmc_hv_chan_alloc(w->hv[0], w->domid[1], &chans[nchans]) == 0)
		nchans++;
	assert_true(nchans > 0);
}

/* A migration that happens while xvmcd is away is noticed on return. */
static void test_migrate_unseen(void **state)
{
	struct world *w = *state;
	xvmc_gref_t gref;
	struct xvmc_share s;
	struct xvmc_map m;
	struct xvmc_chan a, b;
	char path[96];

	share(w, 1, false, &s, &gref);
	assert_int_equal(try_map(w, &gref, 1, false, &m), 0);
	channel(w, &a, &b);
	xvmcd_kill(&w->run, SIGKILL);
	/* even the board is lost: another life, though with the same numbers */
	snprintf(path, sizeof(path), "%s/board", w->run.dir);
	assert_int_equal(unlink(path), 0);
	xvmcd_restart(&w->run, NULL);
	w->daemon_fds = fresh_count_fds(w->run.pid);
	reach_again(w->hv[1]);
	reach_again(w->hv[0]);
	assert_int_equal(((unsigned char *)m.addr)[PAGE - 1], 0xff);
	assert_int_equal(xvmc_hv_notify(w->hv[0], &a), 0);
	assert_false(readable(b.wait_fd, 0));
	look_who(w);
	xvmc_hv_unshare(w->hv[0], &s);
	share(w, 1, false, &s, &gref);
}

struct traffic {
	struct world *w;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint done, failed;
};

/* vm2's service thread: calls all the time, so that events come within. */
static void *calls_over_and_over(void *arg)
{
	struct traffic *t = arg;
	struct world *w = t->w;

	while (!t->stop) {
		struct xvmc_hv_self self;
		xvmc_gref_t grefs[4];
		struct xvmc_share s;
		struct xvmc_chan c;

		xvmc_hv_self(w->hv[1], &self);
		if (xvmc_hv_share(w->hv[1], self.domid, 4, true, &s, grefs) == 0) {
			struct xvmc_map m;

			if (xvmc_hv_map(w->hv[1], self.domid, grefs, 4, true, 0, &m) == 0) {
				memset(m.addr, 1, 4 * PAGE);
				xvmc_hv_unmap(w->hv[1], &m);
				t->done++;
			}
			xvmc_hv_unshare(w->hv[1], &s);
		}
		if (xvmc_hv_chan_alloc(w->hv[1], self.domid, &c) == 0) {
			xvmc_hv_notify(w->hv[1], &c);
			xvmc_hv_chan_close(w->hv[1], &c);
		}
		t->failed += xvmc_hv_dispatch(w->hv[1]) != 0;
	}
	return NULL;
}

static void test_migrate_during_calls(void **state)
{
	struct world *w = *state;
	struct traffic t = { .w = w };
	int tool = agent_tool(&w->run), i = 0;

	assert_int_equal(pthread_create(&t.thread, NULL, calls_over_and_over, &t), 0);
	for (; i < 300 || t.done < 20; i++)
		assert_int_equal(agent_domop(tool, XVMC_AG_MIGRATE, "vm2", i % 2 ? "A" : "B", i % 3 == 0 ? XVMC_MIGRATE_PREPARED : XVMC_MIGRATE_UNPREPARED, 0), 0);
	t.stop = true;
	pthread_join(t.thread, NULL);
	assert_int_equal(t.failed, 0);
	assert_int_equal(xvmc_hv_incarnation(w->hv[1]), i);
	close(tool);
}

/* A domain is ended: as a migration without an arrival. */
static void test_destroy(void **state)
{
	struct world *w = *state;
	int tool = agent_tool(&w->run);
	struct xvmc_hv_self self;
	xvmc_gref_t gref[2];
	struct xvmc_share s, sw;
	struct xvmc_map m, mw;

	share(w, 1, false, &s, gref);
	assert_int_equal(try_map(w, gref, 1, false, &m), 0);
	assert_int_equal(xvmc_hv_share(w->hv[1], w->domid[0], 1, true, &sw, gref), 0);
	assert_int_equal(xvmc_hv_map(w->hv[0], w->domid[1], gref, 1, true, 128, &mw), 0);
	((volatile char *)mw.addr)[128] = 1;
	strcpy(s.addr, "zombie");
	assert_int_equal(agent_domop(tool, XVMC_AG_DESTROY, "vm1", "", 0, 0), 0);
	assert_int_equal(agent_domop(tool, XVMC_AG_DESTROY, "vm1", "", 0, 0), -ENOENT);
	/* as if killed: its byte is cleared */
	assert_int_equal(((volatile char *)sw.addr)[128], 0);
	assert_string_equal(m.addr, "zombie");
	assert_int_equal(xvmc_hv_self(w->hv[0], &self), -EIO);
	do
		assert_true(readable(xvmc_hv_event_fd(w->hv[0]), 5000));
	while (xvmc_hv_dispatch(w->hv[0]) == 0 && xvmc_hv_self(w->hv[0], &self) < 0);
	assert_int_equal(((unsigned char *)mw.addr)[0], 0xff);
	strcpy(s.addr, "alone");
	assert_string_equal(m.addr, "zombie");
	/* a process that lives on comes back as a new guest */
	assert_int_equal(xvmc_hv_self(w->hv[0], &self), 0);
	assert_int_not_equal(self.domid, w->domid[0]);
	close(tool);
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
#define L(name) cmocka_unit_test_setup_teardown(name, setup_local, teardown)
#define X(name) { "xen_" #name, name, setup_xen, teardown, NULL }
#define CONTRACT(T)                                                        \
	T(test_share_read_only), T(test_share_writable), T(test_share_ends), \
		T(test_channel), T(test_channel_epoll), T(test_channel_sleep), \
		T(test_no_such_port), T(test_close_releases), T(test_fork), \
		T(test_clear_byte_unmap)
	const struct CMUnitTest local[] = {
		cmocka_unit_test(test_open),
		CONTRACT(L),
		L(test_other_domain), L(test_grefs_of_one_share),
		L(test_exhaustion), L(test_out_of_fds),
		L(test_file_size_limit), L(test_out_of_memory),
		L(test_clear_byte_killed), L(test_owner_ends),
		L(test_owner_unshares), L(test_owner_moves),
		L(test_owner_restarts), L(test_xvmcd_dies),
		L(test_xvmcd_hangs), L(test_migrate_identity),
		L(test_migrate_channels), L(test_migrate_hole),
		L(test_migrate_writer), L(test_migrate_older_page),
		L(test_migrate_deaf), L(test_daemon_out_of_fds),
		L(test_migrate_unseen), L(test_migrate_during_calls),
		L(test_destroy),
	};
	const struct CMUnitTest xen[] = { CONTRACT(X) };
	struct xvmc_hv *hv;
	int failed, rc;

	failed = fresh_run("hv, local", local, sizeof(local) / sizeof(local[0]), argc, argv);
	rc = xvmc_hv_open_xen(&hv);
	if (rc < 0) {
		printf("the xen backend cannot be opened on this machine (%s): local only\n", strerror(-rc));
		return failed != 0;
	}
	xvmc_hv_close(hv);
	failed += fresh_run("hv, xen", xen, sizeof(xen) / sizeof(xen[0]), argc, argv);
	return failed != 0;
}
