/* SPDX-License-Identifier: MIT */
/*
 * The clients of xvmc-bench: rr, stream, crr, idle. Each warms up, so that
 * a connection that is going to be moved elsewhere has been, then measures
 * and prints one line of JSON.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hist.h"

/* What every client has: the two processes' CPU time and the clock. */
struct measure {
	int cpu_fd;
	uint64_t start;
	double seconds;
	struct cpu_time client;
	struct cpu_time server;
};

static int failed(const char *what, int err)
{
	complain("%s: %s", what, err == 0 ? "the server has closed" : strerror(-err));
	return EXIT_WRONG;
}

static int measure_open(struct measure *m, const struct bench_options *options)
{
	struct header header = { .pattern = PATTERN_CPU };

	memset(m, 0, sizeof(*m));
	m->cpu_fd = bench_open(options, &header);
	return m->cpu_fd < 0 ? m->cpu_fd : 0;
}

static int measure_start(struct measure *m)
{
	int err = bench_server_cpu(m->cpu_fd, &m->server);

	m->client = cpu_used();
	m->start = now_ns();
	return err;
}

static int measure_stop(struct measure *m)
{
	struct cpu_time server;
	int err;

	m->seconds = (double)(now_ns() - m->start) / 1e9;
	m->client = cpu_since(m->client);
	err = bench_server_cpu(m->cpu_fd, &server);
	if (err < 0)
		return err;
	m->server.user_s = server.user_s - m->server.user_s;
	m->server.sys_s = server.sys_s - m->server.sys_s;
	close(m->cpu_fd);
	return 0;
}

static void print_head(const char *pattern, const struct bench_options *o)
{
	printf("{\"pattern\":\"%s\",\"family\":\"%s\",\"bytes\":%zu,\"response\":%zu,\"epoll\":%s,",
	       pattern, o->family, o->bytes, o->response, o->epoll ? "true" : "false");
}

static void print_tail(const struct measure *m)
{
	printf("\"seconds\":%.6f,\"cpu_user_s\":%.6f,\"cpu_sys_s\":%.6f,"
	       "\"server_cpu_user_s\":%.6f,\"server_cpu_sys_s\":%.6f}\n",
	       m->seconds, m->client.user_s, m->client.sys_s, m->server.user_s, m->server.sys_s);
}

static void print_times(const struct hist *times, double seconds)
{
	printf("\"transactions\":%llu,\"per_s\":%.1f,\"p50_us\":%.3f,\"p99_us\":%.3f,\"max_us\":%.3f,",
	       (unsigned long long)times->count, (double)times->count / seconds,
	       (double)hist_quantile(times, 0.5) / 1e3, (double)hist_quantile(times, 0.99) / 1e3,
	       (double)times->max / 1e3);
}

static uint64_t ns_of(double seconds)
{
	return (uint64_t)(seconds * 1e9);
}

/* Round trips until the time is up. 1 or what message_*() said. */
static int rr_until(int fd, int epfd, const struct bench_options *o, char *buf, uint64_t until,
		    struct hist *ret_times)
{
	uint64_t then = now_ns();
	int r = 1;

	while (then < until) {
		uint64_t now;

		r = message_write(fd, epfd, buf, o->bytes);
		if (r < 0)
			return r;
		r = message_read(fd, epfd, buf, o->response);
		if (r != 1)
			return r;
		now = now_ns();
		hist_add(ret_times, now - then);
		then = now;
	}
	return r;
}

int bench_rr(const struct bench_options *o)
{
	static struct hist warm, times;
	struct header header = { PATTERN_RR, o->bytes, o->response, o->buffer, o->epoll };
	struct measure m;
	char *buf = must_alloc((o->bytes > o->response ? o->bytes : o->response) + 1);
	int epfd = -1;
	int fd = bench_open(o, &header);
	int r = fd < 0 ? fd : measure_open(&m, o);

	if (r == 0 && o->epoll)
		r = epfd = message_epoll(fd);
	if (r < 0)
		return failed("cannot connect", r);
	r = rr_until(fd, epfd, o, buf, now_ns() + ns_of(o->warm_seconds), &warm);
	if (r == 1)
		r = measure_start(&m) < 0 ? 0 : 1;
	if (r == 1)
		r = rr_until(fd, epfd, o, buf, m.start + ns_of(o->seconds), &times);
	if (r != 1)
		return failed("request-response", r);
	if ((r = measure_stop(&m)) < 0)
		return failed("cannot ask the server", r);
	print_head("rr", o);
	print_times(&times, m.seconds);
	printf("\"bytes_moved\":%llu,",
	       (unsigned long long)((warm.count + times.count) * (o->bytes + o->response)));
	print_tail(&m);
	close(fd);
	free(buf);
	return EXIT_RIGHT;
}

/* To look at the clock is a system call where its page is not to be trusted, as in
 * many a guest: not for each small write. */
#define LOOK_BYTES 65536u

static int stream_until(int fd, const char *buf, size_t n, uint64_t until, uint64_t *ret_bytes)
{
	uint64_t bytes = 0, look;

	do {
		for (look = bytes + LOOK_BYTES; bytes < look; bytes += n) {
			int err = write_full(fd, buf, n);

			if (err < 0)
				return err;
		}
	} while (now_ns() < until);
	*ret_bytes = bytes;
	return 0;
}

/* The server's count, once it has read to the end. */
static int stream_end(int fd, unsigned long long *ret_bytes)
{
	char answer[ANSWER_LEN + 1] = "";
	int r;

	if (shutdown(fd, SHUT_WR) < 0)
		return -errno;
	r = read_full(fd, answer, ANSWER_LEN);
	if (r != 1)
		return r < 0 ? r : -EPIPE;
	return sscanf(answer, "bytes %llu", ret_bytes) == 1 ? 0 : -EPROTO;
}

int bench_stream(const struct bench_options *o)
{
	struct header header = { PATTERN_STREAM, o->bytes, 0, o->buffer, false };
	unsigned long long told = 0;
	uint64_t warm = 0;
	uint64_t bytes = 0;
	struct measure m;
	char *buf = must_alloc(o->bytes);
	int fd = bench_open(o, &header);
	int err = fd < 0 ? fd : measure_open(&m, o);

	if (err < 0)
		return failed("cannot connect", err);
	err = stream_until(fd, buf, o->bytes, now_ns() + ns_of(o->warm_seconds), &warm);
	if (err == 0)
		err = measure_start(&m);
	if (err == 0)
		err = stream_until(fd, buf, o->bytes, m.start + ns_of(o->seconds), &bytes);
	if (err == 0)
		err = stream_end(fd, &told);
	if (err == 0)
		err = measure_stop(&m);
	if (err < 0)
		return failed("stream", err);
	if (told != warm + bytes) {
		complain("%llu bytes sent, %llu received", (unsigned long long)(warm + bytes), told);
		return EXIT_WRONG;
	}
	print_head("stream", o);
	printf("\"bytes_moved\":%llu,\"bytes_counted\":%llu,\"gbit_s\":%.4f,", told,
	       (unsigned long long)bytes, (double)bytes * 8 / 1e9 / m.seconds);
	print_tail(&m);
	close(fd);
	free(buf);
	return EXIT_RIGHT;
}

/* One short connection. 1 or what went wrong. buf holds the header, then
 * the request. */
static int crr_once(const struct bench_options *o, char *buf)
{
	int fd = addr_connect(&o->addr);
	int r;

	if (fd < 0)
		return fd;
	r = write_full(fd, buf, HEADER_LEN + o->bytes);
	if (r == 0)
		r = read_full(fd, buf + HEADER_LEN, o->response);
	if (r == 1 && read_full(fd, buf + HEADER_LEN, 1) != 0)
		r = -EPROTO;
	close(fd);
	return r;
}

static int crr_until(const struct bench_options *o, char *buf, uint64_t until,
		     struct hist *ret_times)
{
	uint64_t then = now_ns();
	int r = 1;

	while (r == 1 && then < until) {
		uint64_t now;

		r = crr_once(o, buf);
		now = now_ns();
		if (r == 1)
			hist_add(ret_times, now - then);
		then = now;
	}
	return r;
}

int bench_crr(const struct bench_options *o)
{
	static struct hist warm, times;
	struct header header = { PATTERN_CRR, o->bytes, o->response, o->buffer, false };
	struct measure m;
	char *buf = must_alloc(HEADER_LEN + (o->bytes > o->response ? o->bytes : o->response));
	int r = measure_open(&m, o);

	if (r < 0)
		return failed("cannot connect", r);
	header_format(&header, buf);
	r = crr_until(o, buf, now_ns() + ns_of(o->warm_seconds), &warm);
	if (r == 1)
		r = measure_start(&m) < 0 ? 0 : 1;
	if (r == 1)
		r = crr_until(o, buf, m.start + ns_of(o->seconds), &times);
	if (r != 1)
		return failed("connect-request-response-close", r);
	if ((r = measure_stop(&m)) < 0)
		return failed("cannot ask the server", r);
	print_head("crr", o);
	print_times(&times, m.seconds);
	printf("\"bytes_moved\":%llu,",
	       (unsigned long long)((warm.count + times.count) *
				    (HEADER_LEN + o->bytes + o->response)));
	print_tail(&m);
	free(buf);
	return EXIT_RIGHT;
}

/* K connections, each used a little first. 0 or -errno. */
static int idle_open(const struct bench_options *o, int *fds, char *buf)
{
	struct header header = { PATTERN_RR, o->bytes, o->response, o->buffer, o->epoll };

	for (unsigned i = 0; i < o->connections; i++) {
		fds[i] = bench_open(o, &header);
		if (fds[i] < 0)
			return fds[i];
		for (unsigned trip = 0; trip < o->warm_trips; trip++) {
			int r = write_full(fds[i], buf, o->bytes);

			if (r == 0)
				r = read_full(fds[i], buf, o->response);
			if (r != 1)
				return r < 0 ? r : -EPIPE;
		}
	}
	return 0;
}

int bench_idle(const struct bench_options *o)
{
	struct measure m;
	char *buf = must_alloc((o->bytes > o->response ? o->bytes : o->response) + 1);
	int *fds = must_alloc(o->connections * sizeof(*fds));
	int err = idle_open(o, fds, buf);

	if (err == 0)
		err = measure_open(&m, o);
	if (err < 0)
		return failed("cannot connect", err);
	/* Whatever the last traffic has set going comes to rest. */
	sleep_until(now_ns() + ns_of(o->warm_seconds));
	err = measure_start(&m);
	sleep_until(m.start + ns_of(o->seconds));
	if (err == 0)
		err = measure_stop(&m);
	if (err < 0)
		return failed("cannot ask the server", err);
	print_head("idle", o);
	printf("\"connections\":%u,\"bytes_moved\":%llu,", o->connections,
	       (unsigned long long)o->connections * o->warm_trips * (o->bytes + o->response));
	print_tail(&m);
	for (unsigned i = 0; i < o->connections; i++)
		close(fds[i]);
	free(fds);
	free(buf);
	return EXIT_RIGHT;
}
