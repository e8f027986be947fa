/* SPDX-License-Identifier: MIT */
/*
 * One process per test.
 */
#include "fresh.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_S 60 /* five times that for who is watched */

int fresh_count_fds(int pid)
{
	char path[32];
	int n = 0;
	DIR *dir;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	else
		strcpy(path, "/proc/self/fd");
	dir = opendir(path);
	if (!dir)
		return -1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2 - (pid == 0); /* ".", "..", and the directory itself */
}

void fresh_wait_fds(int pid, int n)
{
	for (int i = 0; fresh_count_fds(pid) != n; i++) {
		if (i == 5000)
			fail_msg("process %d keeps %d descriptors", pid, fresh_count_fds(pid) - n);
		usleep(1000);
	}
}

int fresh_count_maps(void)
{
	FILE *f = fopen("/proc/self/maps", "re");
	char line[512];
	int n = 0;

	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, "memfd:xvmc") || strstr(line, "/board");
	if (f)
		fclose(f);
	return n;
}

struct fresh_marks fresh_mark(void)
{
	return (struct fresh_marks){ fresh_count_fds(0), fresh_count_maps() };
}

void fresh_check(struct fresh_marks before)
{
	struct fresh_marks now = fresh_mark();

	if (now.fds != before.fds || now.maps != before.maps)
		fail_msg("left over: %d descriptors, %d mappings",
			 now.fds - before.fds, now.maps - before.maps);
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WATCHED true
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WATCHED true
#endif
#ifndef WATCHED
#define WATCHED false
#endif

bool fresh_watched(void)
{
	const char *preload = getenv("LD_PRELOAD");

	return WATCHED || (preload && strstr(preload, "vgpreload"));
}

uint64_t fresh_seed(void)
{
	static uint64_t seed;
	const char *env = getenv("XVMC_SEED");

	if (seed)
		return seed;
	if (env)
		seed = strtoull(env, NULL, 0);
	else if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = (uint64_t)getpid();
	seed |= 1;
	print_message("seed: XVMC_SEED=%#llx\n", (unsigned long long)seed);
	return seed;
}

uint32_t fresh_random(uint64_t *state, uint32_t n)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)((*state >> 32) % n);
}

static int run_one(const char *group, const struct CMUnitTest *test)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		struct CMUnitTest one[] = { *test };

		alarm(fresh_watched() ? 5 * LIMIT_S : LIMIT_S);
		/* Not _exit: what is left over is reported at the end. */
		exit(_cmocka_run_group_tests(group, one, 1, NULL, NULL) != 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	if (WIFSIGNALED(status))
		fprintf(stderr, "[  FAILED  ] %s: %s\n", test->name,
			WTERMSIG(status) == SIGALRM ? "takes too long" : strsignal(WTERMSIG(status)));
	return status != 0;
}

int fresh_run(const char *group, const struct CMUnitTest *tests, size_t n,
	      int argc, char **argv)
{
	int failed = 0;

	for (size_t i = 0; i < n; i++)
		if (argc < 2 || strstr(tests[i].name, argv[1]))
			failed += run_one(group, &tests[i]);
	if (failed)
		fprintf(stderr, "%s: %d tests failed\n", group, failed);
	return failed;
}
