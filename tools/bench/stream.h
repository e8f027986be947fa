/* SPDX-License-Identifier: MIT */
/*
 * xvmc-stream: the checked stream. A run is a number of connections, each
 * carrying position-dependent content in both directions at once. Either
 * end of it, client or server, is a struct run; they differ in who connects,
 * in which direction they send, and in who speaks first on request-response
 * connections.
 *
 *   stream.c          options, main
 *   stream-client.c   the client's side of the control connection
 *   stream-server.c   the server's
 *   stream-control.c  the lines they exchange
 *   stream-run.c      a run: threads, samples, watchdog
 *   stream-drive.c    how a connection waits: blocking, poll, select
 *   stream-epoll.c    the same for all that wait in epoll
 *   stream-conn.c     one write, one read, with checking and measuring
 *   stream-report.c   the result
 */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/uio.h>

#include "addr.h"
#include "checker.h"
#include "hist.h"
#include "util.h"

#define CONNECTIONS_MAX 1024
#define CHUNK_MAX ((size_t)256 << 10) /* one write, one read */
#define MESSAGE_MAX ((size_t)16 << 10) /* one request, one response */
#define IOV_PARTS 8
#define GUARD 8 /* bytes after the read buffer that must not change */
#define TICK_NS 100000000u

/* Who sends. The client receives in TO_CLIENT. */
enum { TO_SERVER = 0, TO_CLIENT = 1 };

enum mode { MODE_STREAM, MODE_RR, MODE_MIXED };

/* How a connection waits for its socket, and with which calls it moves
 * bytes. Both follow from the connection's number, see stream_plan(). */
enum wait { WAIT_BLOCK, WAIT_POLL, WAIT_SELECT, WAIT_LEVEL, WAIT_EDGE, WAIT_ONESHOT, WAIT_COUNT };
enum call { CALL_RW, CALL_SENDRECV, CALL_VEC, CALL_MSG, CALL_COUNT };

/* What the two ends have agreed on. */
struct run_config {
	uint64_t id;
	uint64_t seed;
	unsigned connections;
	double seconds;
	enum mode mode;
	uint64_t rate; /* bytes per second, all connections and directions; 0: no limit */
	double stall_s;
};

/* What came of one try to write or read. */
enum step {
	STEP_MOVED, /* try again */
	STEP_BLOCKED,
	STEP_PACED, /* not before tx.not_before */
	STEP_TURN,  /* request-response: it is the other one's turn */
	STEP_ENDED,
	STEP_FAILED, /* lane.err says why */
};

/* One direction of a connection, as seen from here. */
struct lane {
	_Atomic uint64_t pos; /* bytes written or read */
	_Atomic uint64_t last_ns;
	_Atomic bool done;
	_Atomic int err;
};

struct sender {
	struct lane lane;
	uint64_t key;
	uint64_t random;
	uint8_t *buf;
	size_t off;
	size_t len;
	uint64_t not_before; /* --rate */
	size_t message_left; /* request-response */
};

struct receiver {
	struct lane lane;
	struct checker checker;
	uint64_t random;
	uint8_t *buf;
	uint64_t last_read_ns;
	struct hist gaps;
	uint64_t max_gap_ns;
	uint64_t overruns; /* a read call wrote behind its buffer */
	size_t message_left;
};

struct conn {
	struct run *run;
	unsigned id;
	int fd;
	enum wait wait;
	enum call call;
	bool rr;
	uint64_t message; /* request-response: the how many-th */
	uint64_t request_ns;
	struct hist trips; /* request-response, client: times of round trips */
	struct sender tx;
	struct receiver rx;
	/* for the epoll driver */
	uint32_t armed;
	bool may_read;
	bool may_write;
	bool finished;
};

struct run {
	struct run_config config;
	bool client;
	struct conn *conns;
	uint64_t *keys;
	uint64_t start_ns;
	_Atomic uint64_t stop_ns; /* no new write is begun after it */
	uint64_t end_ns;  /* the last byte was read */
	FILE *pauses;
	uint64_t pause_ns; /* gaps above it go there */
	FILE *samples;
	pthread_t *threads;
	unsigned n_threads;
	_Atomic unsigned threads_left;
	_Atomic bool abandoned; /* somebody gave up: leave the loops */
};

/* stream-conn.c */
void conn_init(struct conn *conn, struct run *run, unsigned id);
void conn_deinit(struct conn *conn);
void conn_start(struct conn *conn, uint64_t now);
enum step conn_write(struct conn *conn);
enum step conn_read(struct conn *conn);
/* Whether it makes sense to wait for it: not at its end, its turn, not to be
 * slowed down. */
bool conn_wants_read(const struct conn *conn);
bool conn_wants_write(const struct conn *conn, uint64_t now);
/* Both directions are at their end. */
bool conn_done(const struct conn *conn);
const char *wait_name(enum wait wait);
const char *call_name(enum call call);

/* stream-drive.c. Each returns when its direction or connections are done. */
void drive_write(struct conn *conn);
void drive_read(struct conn *conn);
void drive_both(struct conn *conn);

/* stream-epoll.c: all connections of the run that wait by epoll. */
void drive_epoll(struct run *run);

/* stream-control.c: lines of text between the two ends, beside the checked
 * connections. */
#define LINE_MAX_LEN (64u << 10)

#define FIRST_LEN 160

/* The first line of a connection: 0 or -errno. */
int first_send(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));
int first_receive(int fd, double seconds, char text[FIRST_LEN + 1]);

struct control {
	int fd;
	bool ended;
	size_t len;
	char *buf;
};

void control_init(struct control *control, int fd);
void control_deinit(struct control *control);
int control_send(struct control *control, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* The next line, without its end, valid until the next call; waits at most
 * so long. 1, 0 for end or time-out, -errno. */
int control_line(struct control *control, double seconds, const char **ret_line);
/* Waits for something to come until then. The first character that waits,
 * 0 for none, -1 if the other end is gone. */
int control_peek(struct control *control, uint64_t until_ns);

/* What the receiving side of a run found out. */
struct row {
	char style[40];
	bool rr;
	int write_err;
	int read_err;
	uint64_t sent;
	uint64_t max_gap_ns;
	uint64_t overruns;
	struct checker_counts counts;
};

struct side {
	unsigned n;
	struct row *rows;
	struct hist gaps;
};

void side_init(struct side *side, unsigned n);
void side_deinit(struct side *side);
bool side_right(const struct side *side);
/* Closes the accounts. sent[i]: what the other end has sent on i. */
void side_collect(struct side *side, struct run *run, const uint64_t *sent);
int side_send(const struct side *side, struct control *control);
/* Expects as many rows as side was made for. 0 or -errno. */
int side_receive(struct side *side, struct control *control);
int sent_send(const struct run *run, struct control *control);
int sent_receive(uint64_t *sent, unsigned n, struct control *control);
/* Where everything stands, for a run that hangs. */
void halt_send(const struct run *run, struct control *control);
void halt_print(const struct run *run, struct control *control);

/* stream-run.c */
void run_init(struct run *run, const struct run_config *config, bool client);
void run_deinit(struct run *run);
/* Every conn has its fd. 0 or -errno. */
int run_start(struct run *run);
enum outcome {
	RUN_DONE,
	RUN_STALLED, /* here */
	RUN_CALLED,  /* the other end stalled, or is gone */
};
/* Waits until everything is done, sampling on the way. */
enum outcome run_wait(struct run *run, struct control *control);
/* Ends the threads of a run that is given up; false if they hang. */
bool run_abandon(struct run *run);

/* stream-client.c, stream-server.c, stream-report.c */
struct stream_options {
	struct addr addr;
	struct run_config config;
	FILE *pauses;
	uint64_t pause_ns;
	FILE *samples;
	bool json;
	bool once;
};

int stream_client(const struct stream_options *options);
int stream_server(const struct stream_options *options);
const char *mode_name(enum mode mode);
int mode_parse(const char *name, enum mode *ret_mode);
/* here: the client's side. */
void report(const struct run *run, const struct side *here, const struct side *there, bool json);
void report_unfinished(const struct run *run, bool json, bool stalled);

#endif
