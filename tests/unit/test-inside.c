/* SPDX-License-Identifier: MIT */
/*
 * A handler reads, by a ring, what the recv that it interrupted was waiting for
 * inside the kernel (socket/inside.h). Here the handler is the kernel's recv
 * itself, which finds its thread there as a signal would.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/os.h"
#include "fresh.h"
#include "socket-world.h"

#define PATIENCE_NS 10000000000u

static struct xvmc_libc kernel;
static struct guest_pair pair;
static pthread_t writer;
/* Behind fewer that are not read no ring is begun. */
static char early[100000], got[sizeof(early)];

static void wait_path(enum xvmc_path path)
{
	uint64_t end = os_now_ns() + PATIENCE_NS;

	while (guest_tx_path(&pair, 0) != path) {
		if (os_now_ns() > end) {
			print_error("not on the other way within 10 s\n");
			abort();
		}
		usleep(1000);
	}
}

static void handler(void)
{
	char buf[8] = "";

	guest_pair_queue(&pair);
	wait_path(XVMC_PATH_RING);
	guest_send(&pair, 0, "stolen", 6);
	assert_int_equal(guest_recv(&pair, 1, buf, 6, MSG_WAITALL), 6);
	assert_string_equal(buf, "stolen");
}

/* Only what comes by TCP wakes the recv. */
static void *write_late(void *arg)
{
	wait_path(XVMC_PATH_TCP);
	guest_send(&pair, 0, "late", 4);
	return arg;
}

/* The signal has come before the thread was at its system call. */
static ssize_t recv_later(int fd, void *buf, size_t n, int flags)
{
	ucontext_t here;

	w.ctx[1].libc = kernel;
	handler();
	assert_int_equal(getcontext(&here), 0);
	xvmc_sock_resume(&here);
	assert_int_equal(pthread_create(&writer, NULL, write_late, NULL), 0);
	return kernel.recv(fd, buf, n, flags);
}

static void test_not_yet_there(void **state)
{
	char buf[8] = "";

	(void)state;
	guest_pair_make(&pair, &w.ctx[0], &w.ctx[1]);
	kernel = w.ctx[1].libc;
	w.ctx[1].libc.recv = recv_later;
	assert_int_equal(guest_recv(&pair, 1, buf, sizeof(buf), 0), 4);
	assert_string_equal(buf, "late");
	pthread_join(writer, NULL);
	for (int i = 0; i < 2; i++)
		guest_pair_end(&pair, i);
}

/* The signal has come when the system call was over: its result stands. */
static ssize_t recv_earlier(int fd, void *buf, size_t n, int flags)
{
	ssize_t r = kernel.recv(fd, buf, n, flags | MSG_WAITALL);

	assert_int_equal(r, sizeof(early));
	w.ctx[1].libc = kernel;
	handler();
	return r;
}

static void test_not_yet_counted(void **state)
{
	char buf[8] = "";

	(void)state;
	guest_pair_make(&pair, &w.ctx[0], &w.ctx[1]);
	kernel = w.ctx[1].libc;
	w.ctx[1].libc.recv = recv_earlier;
	memset(early, 'e', sizeof(early));
	guest_send(&pair, 0, early, sizeof(early));
	assert_int_equal(guest_recv(&pair, 1, got, sizeof(got), 0), sizeof(got));
	assert_memory_equal(got, early, sizeof(got));
	guest_send(&pair, 0, "late", 5);
	assert_int_equal(guest_recv(&pair, 1, buf, 5, MSG_WAITALL), 5);
	assert_string_equal(buf, "late");
	assert_int_equal(stat_of(1, XVMC_S_REASON0 + XVMC_R_COUNT_MISMATCH), 0);
	for (int i = 0; i < 2; i++)
		guest_pair_end(&pair, i);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_not_yet_there, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_yet_counted, setup, teardown),
	};

	return fresh_run("inside", tests, sizeof(tests) / sizeof(tests[0]), argc, argv);
}
