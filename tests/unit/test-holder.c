/* SPDX-License-Identifier: MIT */
/*
 * The holder (tools/xvmcd/holder.c), with pipes in place of event channels:
 * while it has a pipe's writing end, the reading end sees no end of file.
 */
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../tools/xvmcd/holder.h"
#include "fresh.h"

static pid_t pid;
static uint32_t *now; /* the guest's incarnation, for the holder to see */

static uint32_t incarnation(void)
{
	return *now;
}

static int setup(void **state)
{
	static int sock;

	now = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*now = 1;
	assert_int_equal(holder_start(incarnation, &sock, &pid), 0);
	*state = &sock;
	return 0;
}

/* Nothing less ends one that holds something stale. */
static int teardown(void **state)
{
	(void)state;
	kill(pid, SIGKILL);
	return 0;
}

/* Its reading end; the writing one is the holder's alone. */
static int held_pipe(int sock, uint32_t owner, uint32_t port)
{
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(holder_hold(sock, owner, port, fds[1]), 0);
	close(fds[1]);
	return fds[0];
}

/* Whether the writing end is gone; the holder works in the order it hears. */
static bool released(int sock, int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int other = held_pipe(sock, 99, 99);

	close(other);
	return poll(&pfd, 1, 0) == 1 && pfd.revents & POLLHUP;
}

static void test_hold_and_drop(void **state)
{
	int sock = *(int *)*state;
	int a = held_pipe(sock, 1, 5), b = held_pipe(sock, 1, 6), c = held_pipe(sock, 2, 5);

	assert_false(released(sock, a));
	holder_drop(sock, 1, 5);
	assert_true(released(sock, a));
	assert_false(released(sock, b));
	assert_false(released(sock, c));
	holder_forget(sock, 1);
	assert_true(released(sock, b));
	assert_false(released(sock, c));
}

/* What is older than a migration is never released, whoever says so. */
static void test_stale(void **state)
{
	int sock = *(int *)*state;
	int a = held_pipe(sock, 1, 5), b;

	*now = 2;
	b = held_pipe(sock, 1, 5); /* the number is in use again */
	holder_drop(sock, 1, 5);
	assert_false(released(sock, a));
	assert_true(released(sock, b));
	holder_forget(sock, 1);
	assert_false(released(sock, a));
}

/* Nor when xvmcd has gone. */
static void test_outlives(void **state)
{
	int sock = *(int *)*state;
	int stale = held_pipe(sock, 0, 4), own, others;
	struct pollfd pfd[3];

	*now = 2;
	own = held_pipe(sock, 0, 5);
	others = held_pipe(sock, 1, 5);
	pfd[0] = (struct pollfd){ .fd = own, .events = POLLIN };
	pfd[1] = (struct pollfd){ .fd = others, .events = POLLIN };
	pfd[2] = (struct pollfd){ .fd = stale, .events = POLLIN };
	close(sock);
	/* xvmcd's own is nobody's now; a process may still have the other */
	assert_int_equal(poll(pfd, 1, 5000), 1);
	assert_int_equal(poll(pfd + 1, 2, 500), 0);
}

static void test_many(void **state)
{
	int sock = *(int *)*state, fd[300];

	for (int i = 0; i < 300; i++)
		fd[i] = held_pipe(sock, 3, (uint32_t)i);
	holder_forget(sock, 3);
	for (int i = 0; i < 300; i++)
		assert_true(released(sock, fd[i]));
}

int main(int argc, char **argv)
{
#define H(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = { H(test_hold_and_drop), H(test_stale), H(test_outlives), H(test_many) };

	return fresh_run("xvmcd, holder", tests, sizeof(tests) / sizeof(tests[0]), argc, argv) != 0;
}
