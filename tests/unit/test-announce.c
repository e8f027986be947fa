/* SPDX-License-Identifier: MIT */
/*
 * dom0's word about a migration by the toolstack: who is told, who is waited
 * for, and for how long. Xenstore is a table here, and the guests in it
 * answer from within xen_store_write.
 */
#include "fresh.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/os.h"
#include "toolstack/announce.h"

#define NODES 64

struct xen_store {
	struct {
		char path[64], text[96];
	} node[NODES];
	int fd; /* a timer: when the next watch fires */
	/* what the guest does when it is asked to prepare */
	enum { ANSWERS, LATE, SILENT, LIES, LEAVES } how[8];
	struct {
		uint32_t domid, mover;
		uint64_t at_ns; /* 0: none */
		char number[17];
	} late;
};

static struct xen_store store;

static int find(const char *path)
{
	for (int i = 0; i < NODES; i++)
		if (strcmp(store.node[i].path, path) == 0)
			return i;
	return -1;
}

static void put(const char *path, const char *text)
{
	int i = find(path);

	if (i < 0)
		i = find("");
	assert_true(i >= 0);
	snprintf(store.node[i].path, sizeof(store.node[i].path), "%s", path);
	snprintf(store.node[i].text, sizeof(store.node[i].text), "%s", text);
}

static const char *get(const char *path)
{
	int i = find(path);

	return i < 0 ? "" : store.node[i].text;
}

static void guest_new(uint32_t domid, bool xvmcd)
{
	char path[64];

	snprintf(path, sizeof(path), "/local/domain/%u/name", domid);
	put(path, "vm");
	snprintf(path, sizeof(path), "/local/domain/%u/data/xvmc/version", domid);
	if (xvmcd)
		put(path, "1");
}

static void guest_end(uint32_t domid)
{
	char prefix[32];

	snprintf(prefix, sizeof(prefix), "/local/domain/%u/", domid);
	for (int i = 0; i < NODES; i++)
		if (strncmp(store.node[i].path, prefix, strlen(prefix)) == 0)
			store.node[i].path[0] = '\0';
}

static void fire(uint64_t in_ns)
{
	const struct itimerspec when = { .it_value = { .tv_nsec = (long)in_ns } };

	assert_int_equal(timerfd_settime(store.fd, 0, &when, NULL), 0);
}

static void answer(uint32_t domid, uint32_t mover, const char *number)
{
	char path[64];

	snprintf(path, sizeof(path), "/local/domain/%u/data/xvmc/prepared-%u", domid, mover);
	put(path, number);
	fire(1);
}

static void asked(uint32_t domid, uint32_t mover, const char *number)
{
	switch (store.how[domid]) {
	case ANSWERS:
		answer(domid, mover, number);
		break;
	case LIES:
		answer(domid, mover, "ffffffffffffffffffffffffffffffffffffffffffffffffffffffff");
		break;
	case LEAVES:
		guest_end(domid);
		fire(1);
		break;
	case LATE:
		store.late.domid = domid;
		store.late.mover = mover;
		store.late.at_ns = os_now_ns() + 100000000;
		snprintf(store.late.number, sizeof(store.late.number), "%s", number);
		break;
	case SILENT:
		break;
	}
}

/* ---- xenstore ---- */

int xen_store_read(struct xen_store *s, const char *path, char *ret_text)
{
	if (find(path) < 0)
		return -ENOENT;
	strcpy(ret_text, s->node[find(path)].text);
	return 0;
}

int xen_store_write(struct xen_store *s, const char *path, const char *text)
{
	char number[17], phase[16];
	uint32_t domid, mover;

	(void)s;
	put(path, text);
	assert_int_equal(sscanf(path, "/local/domain/%u/xvmc/migrate/%u", &domid, &mover), 2);
	assert_int_equal(sscanf(text, "%16s %15s", number, phase), 2);
	if (strcmp(phase, "prepare") == 0)
		asked(domid, mover, number);
	return 0;
}

int xen_store_remove(struct xen_store *s, const char *path)
{
	if (find(path) < 0)
		return -ENOENT;
	s->node[find(path)].path[0] = '\0';
	return 0;
}

int xen_store_list(struct xen_store *s, const char *path,
		   bool (*fn)(void *arg, const char *name), void *arg)
{
	assert_string_equal(path, "/local/domain");
	fn(arg, "0");
	for (int i = 0; i < NODES; i++) {
		char name[8], end[64];

		if (sscanf(s->node[i].path, "/local/domain/%7[0-9]/%63s", name, end) == 2 &&
		    strcmp(end, "name") == 0)
			fn(arg, name);
	}
	return 0;
}

int xen_store_watch(struct xen_store *s, const char *path)
{
	(void)s, (void)path;
	fire(1); /* each fires once */
	return 0;
}

int xen_store_unwatch(struct xen_store *s, const char *path)
{
	(void)s, (void)path;
	return 0;
}

int xen_store_fd(struct xen_store *s)
{
	return s->fd;
}

void xen_store_fired(struct xen_store *s)
{
	uint64_t n, now = os_now_ns();

	if (read(s->fd, &n, sizeof(n)) < 0)
		assert_int_equal(errno, EAGAIN);
	if (s->late.at_ns && now >= s->late.at_ns) {
		s->late.at_ns = 0;
		answer(s->late.domid, s->late.mover, s->late.number);
	} else if (s->late.at_ns) {
		fire(s->late.at_ns - now);
	}
}

/* ---- the tests ---- */

static void begin(void)
{
	memset(&store, 0, sizeof(store));
	store.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	assert_true(store.fd >= 0);
	guest_new(1, true);
	guest_new(2, true);
	guest_new(3, false);
}

static uint64_t took_ms(uint64_t since)
{
	return (os_now_ns() - since) / 1000000;
}

static void test_all_answer(void **state)
{
	struct announce a;
	char keep[64], prepare[64];
	uint64_t t0;

	(void)state;
	begin();
	announce_new(&a, 2);
	announce_begin(&a, &store);
	assert_int_equal(a.n, 2);
	snprintf(keep, sizeof(keep), "%s keep", a.number);
	assert_string_equal(get("/local/domain/1/xvmc/migrate/2"), keep);
	assert_string_equal(get("/local/domain/2/xvmc/migrate/2"), keep);
	assert_string_equal(get("/local/domain/3/xvmc/migrate/2"), "");
	assert_string_equal(get("/local/domain/0/xvmc/migrate/2"), "");
	t0 = os_now_ns();
	assert_int_equal(announce_prepare(&a, 20000), 0);
	assert_true(took_ms(t0) < 10000);
	snprintf(prepare, sizeof(prepare), "%s prepare", a.number);
	assert_string_equal(get("/local/domain/1/xvmc/migrate/2"), prepare);
	assert_string_equal(get("/local/domain/2/xvmc/migrate/2"), prepare);
	announce_end(&a, &store);
	assert_string_equal(get("/local/domain/1/xvmc/migrate/2"), "");
	assert_string_equal(get("/local/domain/2/xvmc/migrate/2"), "");
	close(store.fd);
}

static void test_one_is_silent(void **state)
{
	struct announce a;
	uint64_t t0;

	(void)state;
	begin();
	store.how[1] = SILENT;
	announce_new(&a, 2);
	announce_begin(&a, &store);
	t0 = os_now_ns();
	assert_int_equal(announce_prepare(&a, 200), 1);
	assert_in_range(took_ms(t0), 200, 5000);
	announce_end(&a, &store);
	close(store.fd);
}

/* Neither another number nor one from an earlier migration is an answer. */
static void test_lies(void **state)
{
	struct announce a, old;

	(void)state;
	begin();
	announce_new(&old, 2);
	announce_begin(&old, &store);
	assert_int_equal(announce_prepare(&old, 20000), 0);
	announce_end(&old, &store);
	store.how[1] = LIES;
	store.how[2] = SILENT;
	announce_new(&a, 2);
	announce_begin(&a, &store);
	assert_string_not_equal(a.number, old.number);
	assert_int_equal(announce_prepare(&a, 100), 2);
	announce_end(&a, &store);
	close(store.fd);
}

static void test_late(void **state)
{
	struct announce a;
	uint64_t t0;

	(void)state;
	begin();
	store.how[1] = LATE;
	announce_new(&a, 2);
	announce_begin(&a, &store);
	t0 = os_now_ns();
	assert_int_equal(announce_prepare(&a, 20000), 0);
	assert_in_range(took_ms(t0), 50, 15000);
	announce_end(&a, &store);
	close(store.fd);
}

/* Guests come and go during pre-copy, and while they are waited for. */
static void test_come_and_go(void **state)
{
	struct announce a;

	(void)state;
	begin();
	announce_new(&a, 2);
	announce_begin(&a, &store);
	guest_end(1);
	guest_new(4, true);
	guest_new(5, true);
	store.how[5] = LEAVES;
	assert_int_equal(announce_prepare(&a, 20000), 0);
	assert_string_not_equal(get("/local/domain/4/xvmc/migrate/2"), "");
	/* what has gone is not made again */
	assert_string_equal(get("/local/domain/1/xvmc/migrate/2"), "");
	announce_end(&a, &store);
	assert_string_equal(get("/local/domain/4/xvmc/migrate/2"), "");
	close(store.fd);
}

/* Who takes a word back that is not his own has not been told whom it was
 * given; what others say he leaves. */
static void test_another_ends_it(void **state)
{
	struct announce a, other, guard;

	(void)state;
	begin();
	announce_new(&a, 2);
	guard = a;
	announce_begin(&a, &store);
	assert_int_equal(announce_prepare(&a, 20000), 0);
	announce_new(&other, 1);
	announce_begin(&other, &store);
	announce_end(&guard, &store);
	assert_string_equal(get("/local/domain/1/xvmc/migrate/2"), "");
	assert_string_equal(get("/local/domain/2/xvmc/migrate/2"), "");
	assert_string_not_equal(get("/local/domain/2/xvmc/migrate/1"), "");
	/* a later one of the same guest */
	announce_new(&other, 2);
	announce_begin(&other, &store);
	announce_end(&guard, &store);
	assert_string_not_equal(get("/local/domain/1/xvmc/migrate/2"), "");
	close(store.fd);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_answer), cmocka_unit_test(test_one_is_silent),
		cmocka_unit_test(test_lies), cmocka_unit_test(test_late),
		cmocka_unit_test(test_come_and_go), cmocka_unit_test(test_another_ends_it),
	};

	return fresh_run("announce", tests, sizeof(tests) / sizeof(tests[0]), argc, argv) != 0;
}
