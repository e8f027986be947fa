/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor port's contract (lib/hv/hv.h), held against every backend that
 * can be opened here. What only the local one can be asked: test-hv-local.c,
 * test-hv-migrate.c.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv-world.h"

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

int main(int argc, char **argv)
{
#define X(name) { "xen_" #name, name, setup_xen, teardown, NULL }
#define CONTRACT(T)                                                        \
	T(test_share_read_only), T(test_share_writable), T(test_share_ends), \
		T(test_channel), T(test_channel_epoll), T(test_channel_sleep), \
		T(test_no_such_port), T(test_close_releases), T(test_fork), \
		T(test_clear_byte_unmap)
	const struct CMUnitTest local[] = { CONTRACT(L) };
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
