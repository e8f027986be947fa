/* SPDX-License-Identifier: MIT */
#include "hv-keep.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "hv-world.h"

/* What it told its xvmcd before has been handled; Xen needs no telling. */
static void peer_sync(struct world *w)
{
	if (!w->xen)
		sync_hv(w, 1);
}

/* The peer lets go of a mapping, and has its bytes: nothing says that it has died. */
void test_keep_map(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[2];
	struct xvmc_share s;
	char seen[2];

	share(w, 2, true, &s, grefs);
	assert_int_equal(peer_map(&w->peer, grefs, 2, true, 64), 0);
	peer_write(&w->peer, 64, "\1", 1);
	peer_write(&w->peer, PAGE, "before", 7);
	assert_int_equal(peer_keep(&w->peer), 0);
	peer_sync(w);
	strcpy((char *)s.addr + PAGE, "after");
	peer_read(&w->peer, PAGE, seen, 1);
	assert_int_equal(seen[0], 'b');
	peer_write(&w->peer, 0, "x", 1);
	assert_int_equal(((volatile char *)s.addr)[0], 0);
	peer_unmap(&w->peer);
	peer_sync(w);
	assert_int_equal(((volatile char *)s.addr)[64], 1);
	xvmc_hv_unshare(w->hv[0], &s);
}

/* The owner takes its pages back, and has their bytes. */
void test_keep_share(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[2];
	struct xvmc_share s;
	char *with, seen[8];
	int rc;

	share(w, 2, false, &s, grefs);
	assert_int_equal(peer_map(&w->peer, grefs, 2, false, XVMC_HV_NO_CLEAR), 0);
	strcpy((char *)s.addr + PAGE, "before");
	with = xvmc_hv_memory(2);
	assert_non_null(with);
	memcpy(with, s.addr, (size_t)2 * PAGE);
	assert_int_equal(xvmc_hv_keep_share(w->hv[0], &s, with), 0);
	sync_hv(w, 0);
	assert_string_equal((char *)s.addr + PAGE, "before");
	strcpy((char *)s.addr + PAGE, "alone");
	peer_read(&w->peer, PAGE, seen, sizeof(seen));
	assert_string_equal(seen, "before");
	peer_unmap(&w->peer);
	xvmc_hv_unshare(w->hv[0], &s);
	/* One that nobody maps is granted no more. */
	share(w, 1, false, &s, grefs);
	with = xvmc_hv_memory(1);
	assert_int_equal(xvmc_hv_keep_share(w->hv[0], &s, with), 0);
	sync_hv(w, 0);
	rc = peer_map(&w->peer, grefs, 1, false, XVMC_HV_NO_CLEAR);
	assert_true(rc == -ENOENT || rc == -EACCES);
	xvmc_hv_unshare(w->hv[0], &s);
}

struct onlooker {
	const volatile uint64_t *words;
	atomic_bool begun, stop;
	bool bad;
};

static void *look_on(void *arg)
{
	struct onlooker *l = arg;

	while (!l->stop) {
		for (size_t i = 0; i < (size_t)8 * PAGE / 8; i++)
			l->bad = l->bad || l->words[i] != 0x6b6b6b6b6b6b6b6b;
		l->begun = true;
	}
	return NULL;
}

/* Who looks at pages meanwhile sees their bytes, and nothing else. */
void test_keep_unseen(void **state)
{
	struct world *w = *state;
	xvmc_gref_t grefs[8];
	struct xvmc_share s;

	for (int i = 0; i < 50; i++) {
		struct onlooker l = { 0 };
		pthread_t thread;
		void *with;

		share(w, 8, false, &s, grefs);
		memset(s.addr, 'k', (size_t)8 * PAGE);
		with = xvmc_hv_memory(8);
		assert_non_null(with);
		memset(with, 'k', (size_t)8 * PAGE);
		l.words = s.addr;
		assert_int_equal(pthread_create(&thread, NULL, look_on, &l), 0);
		while (!l.begun)
			sched_yield();
		assert_int_equal(xvmc_hv_keep_share(w->hv[0], &s, with), 0);
		l.begun = false;
		while (!l.begun)
			sched_yield();
		l.stop = true;
		pthread_join(thread, NULL);
		assert_false(l.bad);
		xvmc_hv_unshare(w->hv[0], &s);
	}
}

/* A channel without a port: who sleeps on it can still be woken by us. */
void test_hush(void **state)
{
	struct world *w = *state;
	struct xvmc_chan a, c;
	const uint64_t one = 1;

	peer_channel(w, &a);
	xvmc_hv_chan_hush(w->hv[0], &a);
	assert_int_equal(xvmc_hv_notify(w->hv[0], &a), 0);
	assert_false(peer_readable(&w->peer, 20));
	if (a.self_ring) {
		assert_int_equal(write(a.wait_fd, &one, 8), 8);
		assert_true(readable(a.wait_fd, 0));
	}
	peer_hush(&w->peer);
	peer_notify(&w->peer);
	peer_close(&w->peer);
	xvmc_hv_chan_close(w->hv[0], &a);
	/* and others are as good as ever */
	peer_channel(w, &c);
	assert_int_equal(xvmc_hv_notify(w->hv[0], &c), 0);
	assert_true(peer_readable(&w->peer, 5000));
	peer_close(&w->peer);
	xvmc_hv_chan_close(w->hv[0], &c);
}
