/* SPDX-License-Identifier: MIT */
/*
 * xvmc-bench: the patterns, and the line with which a client tells the
 * server which of them a connection is going to follow.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "addr.h"
#include "util.h"

/* The first 64 bytes of a connection: "xvmc-bench PATTERN BYTES RESPONSE
 * MODE BUFFER", filled up with blanks, newline last. */
#define HEADER_LEN 64
/* An answer of the server's: the same size, one line. */
#define ANSWER_LEN 64
#define MESSAGE_MAX (64u << 20)

enum pattern {
	PATTERN_RR,
	PATTERN_STREAM,
	PATTERN_CRR,
	PATTERN_CPU, /* tells the CPU time of the server process when asked */
	PATTERN_COUNT,
};

struct header {
	enum pattern pattern;
	size_t bytes;    /* request, or size of a write */
	size_t response; /* rr, crr */
	size_t buffer;   /* stream: what the receiver reads into */
	bool epoll;      /* rr: the server waits by epoll as well */
};

struct bench_options {
	const char *family;
	const char *host;
	const char *path;
	unsigned port;
	struct addr addr;
	size_t bytes;
	size_t response;
	size_t buffer;
	double seconds;
	double warm_seconds;
	unsigned connections;
	unsigned warm_trips;
	bool epoll;
	bool cpu;
};

void header_format(const struct header *header, char text[HEADER_LEN]);
/* 0 or -EPROTO. */
int header_parse(const char text[HEADER_LEN], struct header *ret_header);

/* Connects and sends the header. Descriptor or -errno. */
int bench_open(const struct bench_options *options, const struct header *header);

/* The server process's CPU time, asked over a connection kept for that:
 * 0 or -errno. */
int bench_server_cpu(int fd, struct cpu_time *ret_cpu);

/* One whole message in, by epoll_wait() and read() if epfd >= 0, else by
 * read() alone. 1, 0 for end of stream, -errno. */
int message_read(int fd, int epfd, void *buf, size_t n);
int message_write(int fd, int epfd, const void *buf, size_t n);
/* Makes fd nonblocking and watched: epfd or -errno. */
int message_epoll(int fd);

/* The sub-commands: an exit status. */
int bench_serve(const struct bench_options *options);
int bench_rr(const struct bench_options *options);
int bench_stream(const struct bench_options *options);
int bench_crr(const struct bench_options *options);
int bench_idle(const struct bench_options *options);
int bench_wait(const struct bench_options *options);

#endif
