/* SPDX-License-Identifier: MIT */
/*
 * A run from its first byte to its last: starts the threads, writes samples
 * every 100 ms, and watches that every connection makes progress.
 */
#include "stream.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "content.h"

#define END_TICK_NS 5000000u
#define ABANDON_S 3
#define ANSWER_S 30.0

void run_init(struct run *run, const struct run_config *config, bool client)
{
	unsigned n = config->connections;

	memset(run, 0, sizeof(*run));
	run->config = *config;
	run->client = client;
	run->keys = must_alloc(2 * n * sizeof(run->keys[0]));
	for (unsigned i = 0; i < 2 * n; i++)
		run->keys[i] = content_key(config->seed, i / 2, i % 2);
	run->conns = must_alloc(n * sizeof(run->conns[0]));
	for (unsigned i = 0; i < n; i++)
		conn_init(&run->conns[i], run, i);
	run->threads = must_alloc((2 * n + 1) * sizeof(run->threads[0]));
}

void run_deinit(struct run *run)
{
	for (unsigned i = 0; i < run->config.connections; i++)
		conn_deinit(&run->conns[i]);
	free(run->conns);
	free(run->keys);
	free(run->threads);
}

static void *write_thread(void *arg)
{
	struct conn *conn = arg;

	drive_write(conn);
	conn->run->threads_left--;
	return NULL;
}

static void *read_thread(void *arg)
{
	struct conn *conn = arg;

	drive_read(conn);
	conn->run->threads_left--;
	return NULL;
}

static void *both_thread(void *arg)
{
	struct conn *conn = arg;

	drive_both(conn);
	conn->run->threads_left--;
	return NULL;
}

static void *epoll_thread(void *arg)
{
	struct run *run = arg;

	drive_epoll(run);
	run->threads_left--;
	return NULL;
}

static int start_thread(struct run *run, void *(*body)(void *), void *arg)
{
	int err;

	run->threads_left++;
	err = pthread_create(&run->threads[run->n_threads], NULL, body, arg);
	if (err) {
		run->threads_left--;
		return -err;
	}
	run->n_threads++;
	return 0;
}

static int start_conn(struct run *run, struct conn *conn)
{
	int err;

	if (conn->wait == WAIT_BLOCK && !conn->rr) {
		err = start_thread(run, write_thread, conn);
		return err < 0 ? err : start_thread(run, read_thread, conn);
	}
	return start_thread(run, both_thread, conn);
}

int run_start(struct run *run)
{
	bool epoll = false;
	int err = 0;

	run->start_ns = now_ns();
	run->stop_ns = run->start_ns + (uint64_t)(run->config.seconds * 1e9);
	for (unsigned i = 0; i < run->config.connections && err == 0; i++) {
		struct conn *conn = &run->conns[i];

		conn_start(conn, run->start_ns);
		if (conn->wait != WAIT_BLOCK)
			err = set_nonblocking(conn->fd);
		epoll = epoll || conn->wait >= WAIT_LEVEL;
	}
	for (unsigned i = 0; i < run->config.connections && err == 0; i++)
		if (run->conns[i].wait < WAIT_LEVEL)
			err = start_conn(run, &run->conns[i]);
	if (err == 0 && epoll)
		err = start_thread(run, epoll_thread, run);
	return err;
}

static uint64_t run_bytes(const struct run *run)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < run->config.connections; i++)
		bytes += run->conns[i].tx.lane.pos + run->conns[i].rx.lane.pos;
	return bytes;
}

static bool stale(const struct run *run, uint64_t last_ns, uint64_t now)
{
	return now > last_ns && (double)(now - last_ns) / 1e9 > run->config.stall_s;
}

static bool conn_stalled(const struct conn *conn, uint64_t now)
{
	uint64_t wrote = conn->tx.lane.last_ns;
	uint64_t read = conn->rx.lane.last_ns;

	/* Taking turns, one direction rests while the other works. */
	if (conn->rr)
		return !conn_done(conn) && stale(conn->run, wrote > read ? wrote : read, now);
	return (!conn->tx.lane.done && stale(conn->run, wrote, now)) ||
	       (!conn->rx.lane.done && stale(conn->run, read, now));
}

static bool run_stalled(const struct run *run, uint64_t now)
{
	for (unsigned i = 0; i < run->config.connections; i++)
		if (conn_stalled(&run->conns[i], now))
			return true;
	return false;
}

static void sample(struct run *run, uint64_t now, uint64_t *last_bytes)
{
	uint64_t bytes = run_bytes(run);

	if (run->samples) {
		fprintf(run->samples, "%llu,%llu\n", (unsigned long long)(now / 1000000u),
			(unsigned long long)(bytes - *last_bytes));
		fflush(run->samples);
	}
	if (run->pauses)
		fflush(run->pauses);
	*last_bytes = bytes;
}

/* SIGUSR1 is blocked in every thread of a client (stream.c) and asked for. */
static bool enough(void)
{
	const struct timespec now = { 0 };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	return sigtimedwait(&set, NULL, &now) == SIGUSR1;
}

/* No new write from now on; the server hears of it by the client. */
static void stop_sending(struct run *run, struct control *control)
{
	uint64_t now = now_ns();

	if (now < run->stop_ns)
		run->stop_ns = now;
	if (run->client)
		control_send(control, "quit\n");
}

enum outcome run_wait(struct run *run, struct control *control)
{
	uint64_t tick = run->start_ns + TICK_NS;
	uint64_t last_bytes = 0;
	bool listen = true;
	const char *line;

	while (run->threads_left) {
		uint64_t now = now_ns();
		uint64_t until = tick;
		int said = 0;

		if (now > run->stop_ns && now + END_TICK_NS < until)
			until = now + END_TICK_NS;
		if (listen)
			said = control_peek(control, until);
		else
			sleep_until(until);
		if (said == 'h' || said < 0)
			return RUN_CALLED;
		if (said == 'q' && control_line(control, ANSWER_S, &line) == 1)
			stop_sending(run, control);
		else if (said)
			listen = false; /* the other end is done already */
		if (run->client && enough())
			stop_sending(run, control);
		now = now_ns();
		if (now < tick)
			continue;
		sample(run, now, &last_bytes);
		while (tick <= now)
			tick += TICK_NS;
		if (run_stalled(run, now))
			return RUN_STALLED;
	}
	sample(run, now_ns(), &last_bytes);
	for (unsigned i = 0; i < run->n_threads; i++)
		pthread_join(run->threads[i], NULL);
	run->n_threads = 0;
	for (unsigned i = 0; i < run->config.connections; i++)
		if (run->conns[i].rx.lane.last_ns > run->end_ns)
			run->end_ns = run->conns[i].rx.lane.last_ns;
	return RUN_DONE;
}

bool run_abandon(struct run *run)
{
	struct timespec until;
	bool ended = true;

	run->abandoned = true;
	for (unsigned i = 0; i < run->config.connections; i++)
		if (run->conns[i].fd >= 0)
			shutdown(run->conns[i].fd, SHUT_RDWR);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ABANDON_S;
	for (unsigned i = 0; i < run->n_threads; i++)
		if (pthread_timedjoin_np(run->threads[i], NULL, &until) != 0)
			ended = false;
	return ended;
}
