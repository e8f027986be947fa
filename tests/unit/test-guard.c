/* SPDX-License-Identifier: MIT */
/*
 * A guard does its thing after a process that was killed, and for no other.
 */
#include "fresh.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "toolstack/guard.h"

/* Shared with the processes of a test. */
struct seen {
	volatile int done;  /* by the guard */
	volatile pid_t pid; /* the guard's */
	int number;
};

static void thing(void *arg)
{
	struct seen *seen = arg;

	seen->done = seen->number;
}

enum how { STOPS, IS_KILLED, IS_TERMINATED, EXITS };

static struct seen *seen_new(void)
{
	struct seen *seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(seen != MAP_FAILED);
	return seen;
}

/* A process with a guard ends so; fd: it alone has it. */
static void one(struct seen *seen, enum how how, int fd)
{
	struct guard guard;
	int status;
	pid_t pid;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		seen->number = 7;
		signal(SIGTERM, SIG_DFL);
		if (guard_start(&guard, thing, seen) < 0)
			_exit(1);
		seen->pid = guard.pid;
		if (how == STOPS)
			guard_stop(&guard);
		if (how == IS_KILLED)
			kill(getpid(), SIGKILL);
		if (how == IS_TERMINATED) {
			kill(0, SIGTERM); /* by a terminal, say: all of them */
			sleep(60);
		}
		_exit(0);
	}
	close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (how == STOPS || how == EXITS)
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* The guard, which has become a child of ours unless it is done with. */
static void ended(const struct seen *seen)
{
	while (waitpid(seen->pid, NULL, 0) < 0 && errno == EINTR)
		;
	assert_int_not_equal(kill(seen->pid, 0), 0);
}

static void ends(enum how how, int want)
{
	struct seen *seen = seen_new();

	one(seen, how, -1);
	ended(seen);
	assert_int_equal(seen->done, want);
	munmap(seen, sizeof(*seen));
}

static void test_stopped(void **state)
{
	(void)state;
	ends(STOPS, 0);
}

static void test_killed(void **state)
{
	(void)state;
	ends(IS_KILLED, 7);
	ends(EXITS, 7);
}

static void test_group(void **state)
{
	(void)state;
	setpgid(0, 0);
	signal(SIGTERM, SIG_IGN);
	ends(IS_TERMINATED, 7);
}

/* Who waits for the end of what the process says waits for it alone. */
static void test_no_descriptors(void **state)
{
	struct seen *seen = seen_new();
	struct pollfd p;
	int pair[2];
	char byte;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	one(seen, IS_KILLED, pair[1]);
	p = (struct pollfd){ .fd = pair[0], .events = POLLIN };
	assert_int_equal(poll(&p, 1, 10000), 1);
	assert_int_equal(read(pair[0], &byte, 1), 0);
	close(pair[0]);
	ended(seen);
	munmap(seen, sizeof(*seen));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_group),
		cmocka_unit_test(test_no_descriptors),
	};

	return fresh_run("guard", tests, sizeof(tests) / sizeof(tests[0]), argc, argv) != 0;
}
