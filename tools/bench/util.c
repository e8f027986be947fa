/* SPDX-License-Identifier: MIT */
/*
 * The clock, CPU time, whole reads and writes, command line numbers: what
 * the measuring programs share. Not for the library or its tools.
 */
#include "util.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void sleep_until(uint64_t t_ns)
{
	struct timespec t = {
		.tv_sec = (time_t)(t_ns / 1000000000u),
		.tv_nsec = (long)(t_ns % 1000000000u),
	};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
		;
}

static double seconds_of(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

struct cpu_time cpu_used(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (struct cpu_time){ seconds_of(usage.ru_utime), seconds_of(usage.ru_stime) };
}

struct cpu_time cpu_since(struct cpu_time start)
{
	struct cpu_time now = cpu_used();

	return (struct cpu_time){ now.user_s - start.user_s, now.sys_s - start.sys_s };
}

int read_full(int fd, void *buf, size_t n)
{
	size_t got = 0;

	while (got < n) {
		ssize_t r = read(fd, (char *)buf + got, n - got);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		if (r == 0)
			return got ? -EPIPE : 0;
		got += (size_t)r;
	}
	return 1;
}

int write_full(int fd, const void *buf, size_t n)
{
	size_t put = 0;

	while (put < n) {
		ssize_t r = write(fd, (const char *)buf + put, n - put);

		if (r < 0 && errno == EINTR)
			continue;
		if (r < 0)
			return -errno;
		put += (size_t)r;
	}
	return 0;
}

int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

static int unit_shift(char unit)
{
	switch (unit) {
	case 'k':
	case 'K':
		return 10;
	case 'm':
	case 'M':
		return 20;
	case 'g':
	case 'G':
		return 30;
	default:
		return -1;
	}
}

int parse_u64(const char *text, uint64_t low, uint64_t high, uint64_t *ret_value)
{
	char *end;
	unsigned long long value;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 0);
	if (errno)
		return -ERANGE;
	if (*end) {
		int shift = unit_shift(*end);

		if (shift < 0 || end[1])
			return -EINVAL;
		if (value > UINT64_MAX >> shift)
			return -ERANGE;
		value <<= shift;
	}
	if (value < low || value > high)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

static int parse_seconds(const char *text, double *ret_value)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !isfinite(value))
		return -EINVAL;
	if (value < 0.01 || value > 1e6)
		return -ERANGE;
	*ret_value = value;
	return 0;
}

static void say(const char *format, va_list args)
{
	flockfile(stderr);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	funlockfile(stderr);
}

void complain(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

void usage_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
	exit(EXIT_USAGE);
}

uint64_t want_u64(const char *option, const char *text, uint64_t low, uint64_t high)
{
	uint64_t value;

	if (parse_u64(text, low, high, &value) < 0)
		usage_error("--%s wants a number from %llu to %llu, not '%s'", option,
			    (unsigned long long)low, (unsigned long long)high, text);
	return value;
}

double want_seconds(const char *option, const char *text)
{
	double value;

	if (parse_seconds(text, &value) < 0)
		usage_error("--%s wants seconds from 0.01 to 1000000, not '%s'", option, text);
	return value;
}

void *must_alloc(size_t n)
{
	void *p = calloc(1, n);

	if (!p) {
		complain("out of memory");
		exit(EXIT_WRONG);
	}
	return p;
}

void raise_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}
