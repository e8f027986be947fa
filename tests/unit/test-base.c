/* SPDX-License-Identifier: MIT */
/*
 * lib/base: the tables of options, reasons and counters, lists, and the byte
 * queue of lib/conn, which is no more than a container either.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/list.h"
#include "base/numbers.h"
#include "base/options.h"
#include "base/os.h"
#include "base/reason.h"
#include "base/stats.h"
#include "base/bytes.h"
#include "fresh.h"

/* ---- options ---- */

static int load(const char *var, const char *val, struct xvmc_options *opt)
{
	int r;

	assert_int_equal(setenv(var, val, 1), 0);
	r = xvmc_options_load(opt);
	unsetenv(var);
	return r;
}

static void test_options_default(void **state)
{
	struct xvmc_options opt;

#define XVMC_OPT(field, var, def, min, max, text) unsetenv(var);
#define XVMC_OPT_STR(field, var, text) unsetenv(var);
#include "base/options.def"
#undef XVMC_OPT
#undef XVMC_OPT_STR
	assert_int_equal(xvmc_options_load(&opt), 0);
#define XVMC_OPT(field, var, def, min, max, text) \
	assert_int_equal(opt.field, def);         \
	assert_true((def) >= (min) && (def) <= (max));
#define XVMC_OPT_STR(field, var, text) assert_string_equal(opt.field, "");
#include "base/options.def"
#undef XVMC_OPT
#undef XVMC_OPT_STR
}

static void test_options_range(void **state)
{
	struct xvmc_options opt;
	char text[32];

#define XVMC_OPT(field, var, def, min, max, text_)                  \
	snprintf(text, sizeof(text), "%ld", (long)(min));           \
	assert_int_equal(load(var, text, &opt), 0);                 \
	assert_int_equal(opt.field, min);                           \
	snprintf(text, sizeof(text), "%ld", (long)(max));           \
	assert_int_equal(load(var, text, &opt), 0);                 \
	assert_int_equal(opt.field, max);                           \
	snprintf(text, sizeof(text), "%ld", (long)(max) + 1);       \
	assert_int_equal(load(var, text, &opt), 1);                 \
	assert_int_equal(opt.field, def);                           \
	snprintf(text, sizeof(text), "%ld", (long)(min) - 1);       \
	assert_int_equal(load(var, text, &opt), 1);                 \
	assert_int_equal(opt.field, def);
#define XVMC_OPT_STR(field, var, text_)
#include "base/options.def"
#undef XVMC_OPT
#undef XVMC_OPT_STR
}

static void test_options_garbage(void **state)
{
	static const char *const bad[] = { "x", "1x", "-1", "+1", " 1", "1 ",
					   "0x1", "1.0", "1e3", "99999999999999999999999",
					   "4294967296", "18446744073709551617" };
	struct xvmc_options opt;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(load("XVMC_RING_ORDER", bad[i], &opt), 1);
		assert_int_equal(opt.order, 6);
	}
	assert_int_equal(load("XVMC_RING_ORDER", "", &opt), 0);
	assert_int_equal(opt.order, 6);
	assert_int_equal(load("XVMC_RING_ORDER", "003", &opt), 0);
	assert_int_equal(opt.order, 3);
}

/* Rings have one size, unless bounds are named. */
static void test_options_order(void **state)
{
	struct xvmc_options opt;

	(void)state;
	assert_int_equal(load("XVMC_RING_ORDER", "5", &opt), 0);
	assert_int_equal(opt.order_least, 5);
	assert_int_equal(opt.order_most, 5);
	setenv("XVMC_RING_ORDER_LEAST", "1", 1);
	setenv("XVMC_RING_ORDER_MOST", "7", 1);
	assert_int_equal(load("XVMC_RING_ORDER", "", &opt), 0);
	unsetenv("XVMC_RING_ORDER_LEAST");
	unsetenv("XVMC_RING_ORDER_MOST");
	assert_int_equal(opt.order_least, 1);
	assert_int_equal(opt.order, 6);
	assert_int_equal(opt.order_most, 7);
}

static void test_options_strings(void **state)
{
	struct xvmc_options opt;
	char text[XVMC_OPT_STR_MAX + 1];

	assert_int_equal(load("XVMC_DOMAIN", "vm1", &opt), 0);
	assert_string_equal(opt.domain, "vm1");
	memset(text, 'a', sizeof(text));
	text[XVMC_OPT_STR_MAX - 1] = '\0';
	assert_int_equal(load("XVMC_DIR", text, &opt), 0);
	assert_string_equal(opt.dir, text);
	text[XVMC_OPT_STR_MAX - 1] = 'a';
	text[XVMC_OPT_STR_MAX] = '\0';
	assert_int_equal(load("XVMC_DIR", text, &opt), 1);
	assert_string_equal(opt.dir, "");
}

static void test_options_show(void **state)
{
	char buf[XVMC_OPT_STR_MAX];
	struct xvmc_options opt;
	const char *text, *var;
	unsigned int n = 0;
	bool seen = false;

	load("XVMC_SPIN_US", "123", &opt);
	while ((var = xvmc_options_show(&opt, n, buf, &text))) {
		assert_memory_equal(var, "XVMC_", 5);
		assert_true(strlen(text) > 5);
		if (!strcmp(var, "XVMC_SPIN_US")) {
			assert_string_equal(buf, "123");
			seen = true;
		}
		n++;
	}
	assert_true(seen);
	assert_null(xvmc_options_show(&opt, n + 1, buf, &text));
}

/* ---- reasons and counters ---- */

static void test_reasons(void **state)
{
	for (unsigned int i = 0; i < XVMC_R_COUNT; i++) {
		const char *word = xvmc_reason_word(i);

		assert_true(strlen(word) >= 3 && strlen(xvmc_reason_text(i)) > 8);
		for (const char *p = word; *p; p++)
			assert_true((*p >= 'a' && *p <= 'z') || *p == '-');
		for (unsigned int k = 0; k < i; k++)
			assert_string_not_equal(word, xvmc_reason_word(k));
	}
	assert_string_equal(xvmc_reason_word(XVMC_R_COUNT), "?");
	assert_string_equal(xvmc_reason_word(UINT32_MAX), "?");
	assert_non_null(xvmc_reason_text(UINT32_MAX));
	/* The numbers cross guests: they stay what they are. */
	assert_int_equal(XVMC_R_NONE, 0);
	assert_int_equal(XVMC_R_PROMOTED, 6);
	assert_int_equal(XVMC_R_CLOSE, 14);
	assert_int_equal(XVMC_R_BAD_RECORD, 32);
}

static void test_stats(void **state)
{
	static struct xvmc_stats_page page;
	char key[64], other[64];

	for (unsigned int i = 0; i < XVMC_S_COUNT; i++) {
		const char *k = xvmc_stat_key(i, key);

		assert_true(*k != '\0' && strlen(k) < 64);
		for (const char *p = k; *p; p++)
			assert_true((*p >= 'a' && *p <= 'z') || *p == '_');
		for (unsigned int j = 0; j < i; j++)
			assert_string_not_equal(k, xvmc_stat_key(j, other));
		xvmc_stat_add(&page, i, i + 1);
		xvmc_stat_add(&page, i, 1);
		assert_int_equal(page.value[i], i + 2);
	}
	assert_string_equal(xvmc_stat_key(XVMC_S_REASON0 + XVMC_R_BAD_NONCE, key),
			    "reason_bad_nonce");
}

/* ---- the byte queue ---- */

static void test_bytes(void **state)
{
	uint64_t rnd = fresh_seed(), in = 0, out = 0;
	struct xvmc_bytes b = { 0 };
	uint8_t piece[5000];

	for (int i = 0; i < 3000; i++) {
		size_t n = fresh_random(&rnd, sizeof(piece));
		size_t k = fresh_random(&rnd, 9000);

		for (size_t j = 0; j < n; j++)
			piece[j] = (uint8_t)(in + j);
		assert_int_equal(xvmc_bytes_add(&b, piece, n), 0);
		in += n;
		assert_int_equal(b.len, in - out);
		assert_true(b.off + b.len <= b.cap);
		for (size_t j = 0; j < b.len; j++)
			assert_int_equal(b.buf[b.off + j], (uint8_t)(out + j));
		k = k < b.len ? k : b.len;
		xvmc_bytes_drop(&b, k);
		out += k;
		if (!b.len)
			assert_null(b.buf); /* empty: no memory is held */
		if (b.len > 100000) {
			out += b.len;
			xvmc_bytes_drop(&b, b.len);
		}
	}
	xvmc_bytes_free(&b);
	xvmc_bytes_free(&b);
	assert_null(b.buf);
}

/* Room is not bytes: what is not filled does not count. */
static void test_bytes_room(void **state)
{
	struct xvmc_bytes b = { 0 };
	uint8_t *p = xvmc_bytes_room(&b, 10000);

	assert_non_null(p);
	assert_int_equal(b.len, 0);
	memset(p, 7, 10000);
	b.len += 3;
	assert_ptr_equal(xvmc_bytes_room(&b, 9997), p + 3);
	p = xvmc_bytes_room(&b, 100000);
	assert_ptr_equal(p, b.buf + 3);
	assert_int_equal(b.buf[2], 7);
	xvmc_bytes_free(&b);
}

/* ---- lists ---- */

struct item {
	int n;
	struct xvmc_list node;
};

static void test_list(void **state)
{
	struct item items[10] = { 0 };
	struct xvmc_list head, *it, *tmp;
	int next = 0;

	xvmc_list_init(&head);
	assert_true(xvmc_list_empty(&head));
	assert_false(xvmc_list_linked(&items[0].node));
	xvmc_list_del(&items[0].node); /* in no list: no-op */
	for (int i = 0; i < 10; i++) {
		items[i].n = i;
		xvmc_list_add(&head, &items[i].node);
	}
	xvmc_list_each(it, tmp, &head) {
		struct item *item = xvmc_list_entry(it, struct item, node);

		assert_int_equal(item->n, next++);
		if (item->n % 2)
			xvmc_list_del(it);
	}
	assert_int_equal(next, 10);
	next = 0;
	xvmc_list_each(it, tmp, &head) {
		assert_int_equal(xvmc_list_entry(it, struct item, node)->n, next);
		next += 2;
		xvmc_list_del(it);
	}
	assert_int_equal(next, 10);
	assert_true(xvmc_list_empty(&head));
}

/* ---- the door to the kernel ---- */

static void test_os(void **state)
{
	struct fresh_marks marks = fresh_mark();
	uint64_t n = 0;
	int fd, high;

	errno = 4711;
	assert_int_equal(os_read(-1, &n, sizeof(n)), -EBADF);
	assert_int_equal(os_close(-1), -EBADF);
	assert_int_equal(xvmc_os_high_fd(-EMFILE), -EMFILE);
	fd = os_eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_true(fd >= 0);
	assert_false(xvmc_os_fd_internal(fd));
	high = xvmc_os_high_fd(fd);
	assert_true(high > fd);
	assert_true(xvmc_os_fd_internal(high));
	assert_int_equal(os_fcntl(fd, F_GETFD, 0), -EBADF); /* consumed */
	assert_int_equal(os_fcntl(high, F_GETFD, 0), FD_CLOEXEC);
	os_eventfd_drain(high); /* empty: does not block */
	os_eventfd_ring(high);
	os_eventfd_ring(high);
	os_eventfd_drain(high);
	assert_int_equal(os_read(high, &n, sizeof(n)), -EAGAIN);
	assert_int_equal(os_close(high), 0);
	assert_false(xvmc_os_fd_internal(high));
	assert_false(xvmc_os_fd_internal(-1));
	assert_false(xvmc_os_fd_internal(1 << 30));
	assert_true(xvmc_os_ncpu() >= 1);
	assert_int_equal(errno, 4711); /* nobody touched it */
	fresh_check(marks);
}

/* Where the limit may be raised: beyond it, and it is what it was. */
static void test_numbers_beyond(void **state)
{
	struct rlimit lim, now;
	int fd[3];

	(void)state;
	if (fresh_watched())
		skip();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
	lim.rlim_cur = 80;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
	for (int i = 0; i < 3; i++) {
		fd[i] = xvmc_os_dup_high(0);
		assert_true(fd[i] >= 80);
		assert_true(xvmc_os_fd_internal(fd[i]));
		assert_int_equal(getrlimit(RLIMIT_NOFILE, &now), 0);
		assert_int_equal(now.rlim_cur, lim.rlim_cur);
		assert_int_equal(now.rlim_max, lim.rlim_max);
	}
	for (int i = 0; i < 3; i++)
		os_close(fd[i]);
}

/* Where it is low and may not: near it, never in the lower half, and all of the
 * upper half if need be. */
static void test_numbers_near(void **state)
{
	struct rlimit lim = { 80, 80 };
	int fd[64], n = 0;

	(void)state;
	if (fresh_watched())
		skip();
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
	while ((fd[n] = xvmc_os_dup_high(0)) >= 0)
		n++;
	assert_int_equal(fd[n], -EMFILE);
	assert_int_equal(n, 40);
	for (int i = 0; i < n; i++) {
		assert_in_range(fd[i], i < 16 ? 64 : i < 32 ? 48 : 40, 79);
		assert_true(xvmc_os_fd_internal(fd[i]));
	}
	os_close(fd[3]);
	assert_int_equal(xvmc_os_dup_high(0), fd[3]);
	while (n--)
		os_close(fd[n]);
}

/* ---- numbers ---- */

static _Atomic bool enough;

static void *make_and_close(void *arg)
{
	while (!enough) {
		int a = OS_MAKE(os_eventfd(0, EFD_CLOEXEC)), b = xvmc_numbers_dup(a);

		*(bool *)arg = *(bool *)arg && xvmc_os_fd_internal(a) &&
			       xvmc_os_fd_internal(b);
		os_close(a);
		os_close(b);
	}
	return NULL;
}

/* The lowest number is the program's, and what it closes is not ours. */
static void test_numbers(void **state)
{
	int low = dup(0), fd;
	pthread_t t[2];
	bool good[2] = { true, true };
	uint32_t before;

	close(low);
	enough = false;
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&t[i], NULL, make_and_close, &good[i]), 0);
	for (int i = 0; i < 20000; i++) {
		xvmc_numbers_use();
		assert_int_equal(close(low), -1);
		fd = dup(0);
		xvmc_numbers_used();
		assert_int_equal(fd, low);
		close(fd);
		/* A call that may wait: corrected afterwards. */
		before = xvmc_numbers_before();
		fd = xvmc_numbers_after(dup(0), before);
		assert_int_equal(fd, low);
		close(fd);
	}
	enough = true;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	assert_true(good[0] && good[1]);
	assert_int_equal(xvmc_numbers_after(-1, 0), -1);
}

/* A thread in such a call, in a handler of a signal, does not wait for itself. */
static void test_numbers_mine(void **state)
{
	uint64_t start, took = UINT64_MAX;
	int fd;

	xvmc_numbers_use();
	/* Now and then it has to wait for a CPU. */
	for (int i = 0; i < 100 && took > 10000000u; i++) {
		start = os_now_ns();
		fd = OS_MAKE(os_eventfd(0, EFD_CLOEXEC)); /* this very thread's use */
		took = os_now_ns() - start;
		os_close(fd);
	}
	assert_true(took < 10000000u);
	xvmc_numbers_used();
}

int main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_default),
		cmocka_unit_test(test_options_range),
		cmocka_unit_test(test_options_garbage),
		cmocka_unit_test(test_options_order),
		cmocka_unit_test(test_options_strings),
		cmocka_unit_test(test_options_show),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_stats),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_bytes_room),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_os),
		cmocka_unit_test(test_numbers_beyond),
		cmocka_unit_test(test_numbers_near),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_numbers_mine),
	};

	return fresh_run("base", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
