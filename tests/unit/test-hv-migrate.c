/* SPDX-License-Identifier: MIT */
/*
 * Migration of the local backend as a PVH guest sees it on Xen [X 3] [X 4]: the
 * instant, for threads in the middle of a copy.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hv-world.h"

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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		L(test_migrate_identity),
		L(test_migrate_channels),
		L(test_migrate_hole),
		L(test_migrate_writer),
		L(test_migrate_older_page),
		L(test_migrate_deaf),
		L(test_migrate_unseen),
		L(test_migrate_during_calls),
		L(test_destroy),
	};

	return fresh_run("hv, migration", tests, sizeof(tests) / sizeof(tests[0]), argc, argv) != 0;
}
