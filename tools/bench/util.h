/* SPDX-License-Identifier: MIT */
/*
 * The few things every measuring program needs: the clock, CPU time used,
 * whole reads and writes, numbers from the command line. The programs of
 * this folder are plain programs: nothing here knows of libxvmc.
 */
#ifndef BENCH_UTIL_H
#define BENCH_UTIL_H

#include <stddef.h>
#include <stdint.h>

/* Exit statuses of all programs of this folder. */
enum {
	EXIT_RIGHT = 0,
	EXIT_WRONG = 1,
	EXIT_USAGE = 2,
	EXIT_STALLED = 3,
};

struct cpu_time {
	double user_s;
	double sys_s;
};

/* CLOCK_MONOTONIC, in nanoseconds. */
uint64_t now_ns(void);
void sleep_until(uint64_t t_ns);

/* CPU seconds of this process so far, all threads. */
struct cpu_time cpu_used(void);
struct cpu_time cpu_since(struct cpu_time start);

/* 1: all n bytes; 0: end of stream before the first byte;
 * -errno, -EPIPE for an end of stream in the middle. */
int read_full(int fd, void *buf, size_t n);
/* 0 or -errno. */
int write_full(int fd, const void *buf, size_t n);
int set_nonblocking(int fd);

/* "64", "64K", "1M", "2G". 0 or -EINVAL, -ERANGE. */
int parse_u64(const char *text, uint64_t low, uint64_t high, uint64_t *ret_value);

/* One line on standard error, "program: ...". */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, then exit with EXIT_USAGE. */
_Noreturn void usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Option values: one clear line and EXIT_USAGE if they make no sense. */
uint64_t want_u64(const char *option, const char *text, uint64_t low, uint64_t high);
double want_seconds(const char *option, const char *text);

/* malloc that ends the program, with one line, when there is no memory. */
void *must_alloc(size_t n);

/* As many descriptors as the hard limit grants. */
void raise_fd_limit(void);

#endif
