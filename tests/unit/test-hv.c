/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor port's contract (lib/hv/hv.h), held against the local backend,
 * and in a Xen guest against that of Xen (`./run lab contract`). What only the local one can be asked: test-hv-local.c,
 * test-hv-migrate.c.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hv-keep.h"
#include "hv-world.h"

static void test_share_read_only(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[5];
	static char seen[5 * PAGE];
	struct xvmc_share s;
	int status;
	pid_t pid;

	share(w, 5, false, &s, grefs);
	for (size_t i = 0; i < 5 * PAGE; i++)
		assert_int_equal(((char *)s.addr)[i], 0);
	assert_int_equal(peer_map(&w->peer, grefs, 5, true, XVMC_HV_NO_CLEAR), -EACCES);
	assert_int_equal(peer_map(&w->peer, grefs, 5, false, XVMC_HV_NO_CLEAR), 0);
	memset(s.addr, 'x', 5 * PAGE);
	peer_read(&w->peer, 0, seen, 5 * PAGE);
	assert_memory_equal(seen, s.addr, 5 * PAGE);
	((volatile char *)s.addr)[4 * PAGE] = 'y';
	peer_read(&w->peer, 4 * PAGE, seen, 1);
	assert_int_equal(seen[0], 'y');
	/* Nor can it be written later, whatever the peer does: its kernel or
	 * its hypervisor refuses. Xen lets the write happen, to nothing. */
	if (peer_force(&w->peer) == 0)
		assert_true(w->xen);
	assert_int_equal(*(volatile char *)s.addr, 'x');
	peer_unmap(&w->peer);
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
	static const char said[] = "from the peer";
	xvmc_gref_t grefs[2];
	struct xvmc_share s;
	char seen[32];

	share(w, 2, true, &s, grefs);
	assert_int_equal(peer_map(&w->peer, grefs, 2, true, XVMC_HV_NO_CLEAR), 0);
	peer_write(&w->peer, 0, said, sizeof(said));
	assert_string_equal(s.addr, said);
	strcpy((char *)s.addr + PAGE, "from the owner");
	peer_read(&w->peer, PAGE, seen, sizeof(seen));
	assert_string_equal(seen, "from the owner");
	peer_unmap(&w->peer);
	xvmc_hv_unshare(w->hv[0], &s);
}

static void test_share_ends(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[1], other[1];
	struct xvmc_share s, s2;
	char seen[32];
	int rc;

	share(w, 1, false, &s, grefs);
	share(w, 1, false, &s2, other);
	assert_int_not_equal(grefs[0], other[0]);
	assert_int_equal(peer_map(&w->peer, grefs, 1, false, XVMC_HV_NO_CLEAR), 0);
	strcpy(s.addr, "still here");
	xvmc_hv_unshare(w->hv[0], &s);
	/* the mapping keeps its memory */
	peer_read(&w->peer, 0, seen, sizeof(seen));
	assert_string_equal(seen, "still here");
	sync_hv(w, 0);
	peer_unmap(&w->peer);
	/* A new one is not to be had. A real hypervisor cannot end a grant that
	 * is mapped, and the kernel does so at leisure: no test of it here. */
	if (!w->xen) {
		rc = peer_map(&w->peer, grefs, 1, false, XVMC_HV_NO_CLEAR);
		assert_int_equal(rc, -ENOENT);
	}
	/* One that was never mapped ends at once. */
	xvmc_hv_unshare(w->hv[0], &s2);
	sync_hv(w, 0);
	rc = peer_map(&w->peer, other, 1, false, XVMC_HV_NO_CLEAR);
	assert_true(rc == -ENOENT || rc == -EACCES);
}

/* What is granted to one guest is not another's, nor our own. */
static void test_map_own(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[1];
	struct xvmc_share s;
	struct xvmc_map m;

	share(w, 1, false, &s, grefs);
	strcpy(s.addr, "mine");
	assert_true(xvmc_hv_map(w->hv[0], w->domid[0], grefs, 1, false, XVMC_HV_NO_CLEAR, &m) < 0);
	assert_string_equal(s.addr, "mine");
	xvmc_hv_unshare(w->hv[0], &s);
}

/* Bytes of a page can be had without a mapping, as long as it is granted. */
static void test_copy(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[2], own;
	static char seen[PAGE + 1];
	struct xvmc_share s;
	int rc;

	share(w, 2, false, &s, grefs);
	memset(s.addr, 'a', PAGE);
	memset((char *)s.addr + PAGE, 'b', PAGE);
	strcpy((char *)s.addr + 2 * PAGE - 4, "end");
	assert_int_equal(peer_copy(&w->peer, grefs[1], 0, seen, PAGE), 0);
	assert_memory_equal(seen, (char *)s.addr + PAGE, PAGE);
	assert_int_equal(peer_copy(&w->peer, grefs[0], PAGE - 1, seen, 1), 0);
	assert_int_equal(seen[0], 'a');
	assert_int_equal(peer_copy(&w->peer, grefs[1], PAGE - 4, seen, 4), 0);
	assert_string_equal(seen, "end");
	/* of that page, and no other */
	assert_int_equal(peer_copy(&w->peer, grefs[0], PAGE - 1, seen, 2), -EINVAL);
	assert_int_equal(peer_copy(&w->peer, grefs[0], 0, seen, PAGE + 1), -EINVAL);
	assert_int_equal(peer_copy(&w->peer, grefs[0], SIZE_MAX, seen, 2), -EINVAL);
	/* It is not held, so that the end of it is the end. */
	xvmc_hv_unshare(w->hv[0], &s);
	sync_hv(w, 0);
	for (int i = 0; i < 2; i++) {
		rc = peer_copy(&w->peer, grefs[i], 0, seen, 1);
		assert_true(rc == -ENOENT || rc == -EACCES);
	}
	rc = peer_copy(&w->peer, 0xfffffff0u, 0, seen, 1);
	assert_true(rc == -ENOENT || rc == -EACCES);
	if (!w->xen)
		return;
	/* Of our own page, too, and it stays ours. */
	assert_int_equal(xvmc_hv_share(w->hv[0], w->domid[0], 1, false, &s, &own), 0);
	strcpy(s.addr, "mine");
	assert_int_equal(xvmc_hv_copy(w->hv[0], w->domid[0], own, 0, seen, 5), 0);
	assert_string_equal(seen, "mine");
	assert_string_equal(s.addr, "mine");
	xvmc_hv_unshare(w->hv[0], &s);
}

static void test_channel(void **state)
{
	struct world *w = *state;
	struct xvmc_chan a;

	peer_channel(w, &a);
	assert_false(readable(a.wait_fd, 0));
	assert_false(peer_readable(&w->peer, 0));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(xvmc_hv_notify(w->hv[0], &a), 0);
		assert_true(peer_readable(&w->peer, 1000));
		assert_false(readable(a.wait_fd, 0));
		peer_ack(&w->peer);
	}
	for (int i = 0; i < 3; i++) {
		uint64_t n;

		peer_notify(&w->peer);
		assert_true(readable(a.wait_fd, 1000));
		if (a.self_ring)
			assert_int_equal(read(a.wait_fd, &n, 8), 8);
		else
			xvmc_hv_chan_ack(w->hv[0], &a);
		assert_false(readable(a.wait_fd, 0));
	}
	/* one side may go first; the other does not notice */
	xvmc_hv_chan_close(w->hv[0], &a);
	peer_notify(&w->peer);
	peer_close(&w->peer);
}

/* Every notification is a new edge. */
static void test_channel_epoll(void **state)
{
	struct world *w = *state;
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	struct xvmc_chan a;
	int ep = epoll_create1(EPOLL_CLOEXEC);

	peer_channel(w, &a);
	assert_int_equal(epoll_ctl(ep, EPOLL_CTL_ADD, a.wait_fd, &ev), 0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(epoll_wait(ep, &ev, 1, 0), 0);
		peer_notify(&w->peer);
		assert_int_equal(epoll_wait(ep, &ev, 1, 1000), 1);
		xvmc_hv_chan_ack(w->hv[0], &a);
	}
	xvmc_hv_chan_close(w->hv[0], &a);
	peer_close(&w->peer);
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
	struct xvmc_chan a;
	struct sleeper s = { 0 };
	uint64_t one = 1;
	pthread_t t;

	peer_channel(w, &a);
	if (a.self_ring) {
		s.fd = a.wait_fd;
		assert_int_equal(pthread_create(&t, NULL, sleep_on, &s), 0);
		for (int i = 0; i < 50; i++) {
			peer_notify(&w->peer);
			assert_int_equal(write(a.wait_fd, &one, 8), 8);
		}
		assert_int_equal(pthread_join(t, NULL), 0);
		assert_int_equal(s.woken, 100);
	}
	xvmc_hv_chan_close(w->hv[0], &a);
	peer_close(&w->peer);
}

static void test_no_such_port(void **state)
{
	struct world *w = *state;
	struct xvmc_chan a, none;

	assert_int_equal(xvmc_hv_chan_bind(w->hv[0], w->domid[1], 999999, &none), -ENOENT);
	assert_int_equal(peer_bind(&w->peer, 999999), -ENOENT);
	peer_channel(w, &a);
	peer_close(&w->peer);
	xvmc_hv_chan_close(w->hv[0], &a);
	sync_hv(w, 0);
	assert_int_equal(peer_bind(&w->peer, a.port), -ENOENT);
}

/* Closing a handle releases all it had (the teardown looks). */
static void test_close_releases(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[4];
	struct xvmc_share s;
	struct xvmc_chan a;

	share(w, 3, true, &s, grefs);
	assert_int_equal(peer_map(&w->peer, grefs, 3, true, XVMC_HV_NO_CLEAR), 0);
	peer_channel(w, &a);
}

/* After fork the parent goes on, whatever the child does. */
static void test_fork(void **state)
{
	struct world *w = *state;
	struct fresh_marks before = w->marks;
	xvmc_gref_t grefs[2];
	struct xvmc_share s;
	struct xvmc_chan a;
	int status;
	pid_t pid;

	share(w, 2, true, &s, grefs);
	assert_int_equal(peer_map(&w->peer, grefs, 2, true, XVMC_HV_NO_CLEAR), 0);
	peer_channel(w, &a);
	pid = fork();
	if (pid == 0) {
		struct fresh_marks now;

		xvmc_hv_abandon(w->hv[0]);
		xvmc_hv_abandon(w->hv[1]);
		if (w->peer.sock >= 0)
			close(w->peer.sock);
		now = fresh_mark();
		_exit(now.fds != before.fds || now.maps != before.maps);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	peer_write(&w->peer, 0, "alive", 6);
	assert_string_equal(s.addr, "alive");
	assert_int_equal(xvmc_hv_notify(w->hv[0], &a), 0);
	assert_true(peer_readable(&w->peer, 1000));
	sync_hv(w, 0);
	peer_unmap(&w->peer);
	xvmc_hv_unshare(w->hv[0], &s);
	peer_close(&w->peer);
	xvmc_hv_chan_close(w->hv[0], &a);
}

static void test_clear_byte_unmap(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[1];
	struct xvmc_share s;
	volatile char *byte;

	share(w, 1, true, &s, grefs);
	byte = (char *)s.addr + 128;
	assert_int_equal(peer_map(&w->peer, grefs, 1, true, 128), 0);
	peer_write(&w->peer, 128, "\1\1", 2);
	assert_int_equal(*byte, 1);
	peer_unmap(&w->peer);
	assert_int_equal(*byte, 0);
	assert_int_equal(byte[1], 1);
	xvmc_hv_unshare(w->hv[0], &s);
}

/* The owner's death is to be seen in its pages, and nothing else is. */
static void test_owner_clear(void **state)
{
	struct world *w = *state;
	xvmc_gref_t gref;
	char seen[2];
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		struct world own;
		struct xvmc_share s;

		/* a process of its own, with a handle of its own */
		if (w->xen ? xvmc_hv_open_xen(&own.hv[0]) : open_local_again(w, &own))
			_exit(1);
		if (xvmc_hv_share(own.hv[0], w->domid[1], 1, true, &s, &gref) < 0)
			_exit(2);
		((volatile char *)s.addr)[64] = ((volatile char *)s.addr)[65] = 1;
		if (xvmc_hv_owner_clear(own.hv[0], &s, 64) < 0)
			_exit(3);
		if (write(fds[1], &gref, sizeof(gref)) != sizeof(gref))
			_exit(4);
		pause();
	}
	assert_int_equal(read(fds[0], &gref, sizeof(gref)), sizeof(gref));
	assert_int_equal(peer_map(&w->peer, &gref, 1, true, XVMC_HV_NO_CLEAR), 0);
	peer_read(&w->peer, 64, seen, 2);
	assert_int_equal(seen[0], 1);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	for (int i = 0; i < 1000 && seen[0]; i++) {
		peer_read(&w->peer, 64, seen, 2);
		usleep(1000);
	}
	assert_int_equal(seen[0], 0);
	assert_int_equal(seen[1], 1);
	peer_unmap(&w->peer);
	close(fds[0]);
	close(fds[1]);
}

int main(int argc, char **argv)
{
#define X(name) { "xen_" #name, name, setup_xen, teardown, NULL }
#define CONTRACT(T)                                                        \
	T(test_share_read_only), T(test_share_writable), T(test_share_ends), \
		T(test_map_own), T(test_copy), T(test_channel), T(test_channel_epoll), \
		T(test_channel_sleep), T(test_no_such_port), \
		T(test_close_releases), T(test_fork), \
		T(test_clear_byte_unmap), T(test_owner_clear), \
		T(test_keep_map), T(test_keep_share), T(test_keep_unseen), T(test_hush)
	const struct CMUnitTest local[] = { CONTRACT(L) };
	const struct CMUnitTest xen[] = { CONTRACT(X) };
	struct xvmc_hv *hv;
	int failed, rc;

	if (argc == 3 && strcmp(argv[1], "--peer") == 0)
		return peer_serve(argv[2]);
	if (getenv("XVMC_TEST_PEER"))
		return fresh_run("hv, xen", xen, sizeof(xen) / sizeof(xen[0]), argc, argv) != 0;
	failed = fresh_run("hv, local", local, sizeof(local) / sizeof(local[0]), argc, argv);
	rc = xvmc_hv_open_xen(&hv);
	if (rc < 0) {
		printf("the xen backend cannot be opened on this machine (%s): local only\n", strerror(-rc));
		return failed != 0;
	}
	xvmc_hv_close(hv);
	printf("the xen backend needs a peer in another guest: test-hv --peer PORT there, XVMC_TEST_PEER=ADDRESS:PORT here\n");
	return 1;
}
