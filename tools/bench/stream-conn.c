/* SPDX-License-Identifier: MIT */
/*
 * One write and one read of a checked connection: how much, with which
 * call, what was in it, how long after the one before. How the connection
 * waits in between is not known here.
 */
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "content.h"

static const uint8_t guard[GUARD] = { 0xa5, 0x5a, 0xc3, 0x3c, 0x96, 0x69, 0xf0, 0x0f };

const char *wait_name(enum wait wait)
{
	static const char *const names[WAIT_COUNT] = {
		"blocking", "poll", "select", "epoll-level", "epoll-edge", "epoll-oneshot",
	};

	return names[wait];
}

const char *call_name(enum call call)
{
	static const char *const names[CALL_COUNT] = { "read", "recv", "readv", "recvmsg" };

	return names[call];
}

/*
 * Half of the connections block, with a thread for each direction, or wait
 * in poll() or select(); the other half share one epoll set, some level-,
 * some edge-triggered, some one-shot. The two ends of a connection are one
 * step apart, so that different styles meet.
 */
static void plan(struct conn *conn)
{
	static const struct {
		enum wait wait;
		enum call call;
	} plans[8] = {
		{ WAIT_BLOCK, CALL_RW },   { WAIT_LEVEL, CALL_SENDRECV },
		{ WAIT_BLOCK, CALL_VEC },  { WAIT_EDGE, CALL_MSG },
		{ WAIT_BLOCK, CALL_MSG },  { WAIT_ONESHOT, CALL_VEC },
		{ WAIT_POLL, CALL_SENDRECV }, { WAIT_EDGE, CALL_RW },
	};
	unsigned i = (conn->id + !conn->run->client) % 8;

	conn->wait = plans[i].wait;
	conn->call = plans[i].call;
	if (conn->wait == WAIT_POLL && conn->fd < 1024 &&
	    (conn->id / 8 + !conn->run->client) % 2)
		conn->wait = WAIT_SELECT;
	conn->rr = conn->run->config.mode == MODE_RR ||
		   (conn->run->config.mode == MODE_MIXED && (conn->id % 4 == 2 || conn->id % 8 == 7));
}

/* The length of the n-th request or response: both ends know it. */
static size_t message_length(const struct conn *conn, unsigned direction, uint64_t n)
{
	uint64_t state = conn->run->keys[conn->id * 2 + direction] ^ n;

	return random_size(&state, MESSAGE_MAX);
}

void conn_init(struct conn *conn, struct run *run, unsigned id)
{
	struct checker_keys keys = { run->keys, run->config.connections * 2 };
	unsigned to_here = run->client ? TO_CLIENT : TO_SERVER;
	uint64_t random = content_key(run->config.seed ^ 0x73697a6573, id, to_here);

	conn->run = run;
	conn->id = id;
	conn->fd = -1;
	checker_init(&conn->rx.checker, keys, id * 2 + to_here);
	conn->rx.random = random;
	conn->rx.buf = must_alloc(CHUNK_MAX + GUARD);
	conn->tx.key = run->keys[id * 2 + !to_here];
	conn->tx.random = ~random;
	conn->tx.buf = must_alloc(CHUNK_MAX);
}

void conn_deinit(struct conn *conn)
{
	if (conn->fd >= 0)
		close(conn->fd);
	checker_deinit(&conn->rx.checker);
	free(conn->rx.buf);
	free(conn->tx.buf);
}

void conn_start(struct conn *conn, uint64_t now)
{
	plan(conn);
	conn->tx.lane.last_ns = now;
	conn->rx.lane.last_ns = now;
	if (!conn->rr)
		return;
	conn->request_ns = now;
	if (conn->run->client)
		conn->tx.message_left = message_length(conn, TO_SERVER, 0);
	else
		conn->rx.message_left = message_length(conn, TO_SERVER, 0);
}

bool conn_done(const struct conn *conn)
{
	return conn->tx.lane.done && conn->rx.lane.done;
}

bool conn_wants_read(const struct conn *conn)
{
	return !conn->rx.lane.done &&
	       (!conn->rr || conn->rx.message_left || conn->tx.lane.done);
}

bool conn_wants_write(const struct conn *conn, uint64_t now)
{
	const struct sender *tx = &conn->tx;

	if (tx->lane.done)
		return false;
	if (tx->off < tx->len)
		return true;
	if (conn->rr && !tx->message_left && !conn->rx.lane.done)
		return false;
	return now >= tx->not_before;
}

/* A connection that failed in one direction is over in both. */
static enum step failed(struct conn *conn, struct lane *lane, int err)
{
	lane->err = err;
	lane->done = true;
	shutdown(conn->fd, SHUT_RDWR);
	return STEP_FAILED;
}

/* Cuts [buf, buf + n) into random parts. */
static int cut(uint64_t *random, uint8_t *buf, size_t n, struct iovec iov[IOV_PARTS])
{
	int parts = 0;

	while (n) {
		size_t part = parts == IOV_PARTS - 1 ? n : 1 + random_below(random, n);

		iov[parts++] = (struct iovec){ buf, part };
		buf += part;
		n -= part;
	}
	return parts;
}

static ssize_t write_call(struct conn *conn, uint8_t *buf, size_t n)
{
	struct iovec iov[IOV_PARTS];
	struct msghdr message = { .msg_iov = iov };

	switch (conn->call) {
	case CALL_RW:
		return write(conn->fd, buf, n);
	case CALL_SENDRECV:
		return send(conn->fd, buf, n, MSG_NOSIGNAL);
	case CALL_VEC:
		return writev(conn->fd, iov, cut(&conn->tx.random, buf, n, iov));
	case CALL_MSG:
	default:
		message.msg_iovlen = (size_t)cut(&conn->tx.random, buf, n, iov);
		return sendmsg(conn->fd, &message, MSG_NOSIGNAL);
	}
}

static ssize_t read_call(struct conn *conn, uint8_t *buf, size_t n)
{
	struct iovec iov[IOV_PARTS];
	struct msghdr message = { .msg_iov = iov };

	switch (conn->call) {
	case CALL_RW:
		return read(conn->fd, buf, n);
	case CALL_SENDRECV:
		return recv(conn->fd, buf, n, 0);
	case CALL_VEC:
		return readv(conn->fd, iov, cut(&conn->rx.random, buf, n, iov));
	case CALL_MSG:
	default:
		message.msg_iovlen = (size_t)cut(&conn->rx.random, buf, n, iov);
		return recvmsg(conn->fd, &message, 0);
	}
}

/* Nothing more to write: the other end is to see the end of the stream. */
static enum step end_writing(struct conn *conn)
{
	if (shutdown(conn->fd, SHUT_WR) < 0)
		return failed(conn, &conn->tx.lane, errno);
	conn->tx.lane.done = true;
	return STEP_ENDED;
}

/* This connection's direction's part of --rate, bytes per second. */
static double pace(const struct run *run)
{
	return (double)run->config.rate / (2.0 * run->config.connections);
}

/* Draws and fills the next piece to write. */
static enum step next_chunk(struct conn *conn, uint64_t now)
{
	struct sender *tx = &conn->tx;
	size_t max = CHUNK_MAX;

	if (conn->run->abandoned)
		return end_writing(conn);
	if (conn->rr && !tx->message_left)
		return conn->rx.lane.done ? end_writing(conn) : STEP_TURN;
	if (now >= conn->run->stop_ns && !conn->rr)
		return end_writing(conn);
	if (now < tx->not_before) {
		tx->lane.last_ns = now; /* it does not hang, it waits */
		return STEP_PACED;
	}
	/* Small pieces: what --rate leaves idle must not look like a pause. */
	if (conn->run->config.rate && pace(conn->run) / 1000 < (double)max)
		max = 64 + (size_t)(pace(conn->run) / 1000);
	tx->len = random_size(&tx->random, max);
	if (conn->rr && tx->len > tx->message_left)
		tx->len = tx->message_left;
	tx->off = 0;
	content_fill(tx->key, tx->lane.pos, tx->buf, tx->len);
	return STEP_MOVED;
}

/* A whole message has been written: now it is the other one's turn. */
static void message_written(struct conn *conn)
{
	if (conn->run->client) {
		conn->rx.message_left = message_length(conn, TO_CLIENT, conn->message);
	} else {
		conn->message++;
		conn->rx.message_left = message_length(conn, TO_SERVER, conn->message);
	}
}

static void wrote(struct conn *conn, size_t n, uint64_t now)
{
	struct sender *tx = &conn->tx;

	tx->off += n;
	tx->lane.pos += n;
	tx->lane.last_ns = now;
	if (conn->run->config.rate) {
		uint64_t due = conn->run->start_ns +
			       (uint64_t)((double)tx->lane.pos / pace(conn->run) * 1e9);

		tx->not_before = due < conn->run->stop_ns ? due : conn->run->stop_ns;
	}
	if (conn->rr) {
		tx->message_left -= n;
		if (!tx->message_left)
			message_written(conn);
	}
}

enum step conn_write(struct conn *conn)
{
	struct sender *tx = &conn->tx;
	ssize_t n;

	if (tx->lane.done)
		return STEP_ENDED;
	if (tx->off == tx->len) {
		enum step step = next_chunk(conn, now_ns());

		if (step != STEP_MOVED)
			return step;
	}
	n = write_call(conn, tx->buf + tx->off, tx->len - tx->off);
	if (n < 0 && errno == EAGAIN)
		return STEP_BLOCKED;
	if (n < 0 && errno == EINTR)
		return STEP_MOVED;
	if (n < 0)
		return failed(conn, &tx->lane, errno);
	if ((size_t)n > tx->len - tx->off)
		return failed(conn, &tx->lane, EOVERFLOW);
	wrote(conn, (size_t)n, now_ns());
	return STEP_MOVED;
}

/* A whole message has come. */
static enum step message_read(struct conn *conn, uint64_t now)
{
	if (!conn->run->client) {
		conn->tx.message_left = message_length(conn, TO_CLIENT, conn->message);
		return STEP_MOVED;
	}
	hist_add(&conn->trips, now - conn->request_ns);
	conn->request_ns = now;
	conn->message++;
	if (now >= conn->run->stop_ns)
		return end_writing(conn) == STEP_FAILED ? STEP_FAILED : STEP_MOVED;
	conn->tx.message_left = message_length(conn, TO_SERVER, conn->message);
	return STEP_MOVED;
}

/* The time since the last read that brought something. */
static void measure_gap(struct conn *conn, uint64_t now)
{
	struct receiver *rx = &conn->rx;
	uint64_t gap = now - rx->last_read_ns;

	if (rx->last_read_ns) {
		hist_add(&rx->gaps, gap);
		if (gap > rx->max_gap_ns)
			rx->max_gap_ns = gap;
		if (gap > conn->run->pause_ns && conn->run->pauses)
			fprintf(conn->run->pauses, "%.3f,%.3f,%u,%s\n", (double)now / 1e6,
				(double)gap / 1e6, conn->id,
				conn->run->client ? "to_client" : "to_server");
	}
	rx->last_read_ns = now;
}

static enum step read_end(struct conn *conn)
{
	struct receiver *rx = &conn->rx;

	rx->lane.done = true;
	/* An end in the middle of a message: its total will tell. The other
	 * direction must not wait for its turn for ever. */
	if (conn->rr && !conn->tx.lane.done)
		return end_writing(conn) == STEP_FAILED ? STEP_FAILED : STEP_ENDED;
	return STEP_ENDED;
}

enum step conn_read(struct conn *conn)
{
	struct receiver *rx = &conn->rx;
	size_t size;
	uint64_t now;
	ssize_t n;

	if (rx->lane.done)
		return STEP_ENDED;
	if (!conn_wants_read(conn))
		return STEP_TURN;
	size = random_size(&rx->random, CHUNK_MAX);
	if (conn->rr && rx->message_left && size > rx->message_left)
		size = rx->message_left;
	memcpy(rx->buf + size, guard, GUARD);
	n = read_call(conn, rx->buf, size);
	if (n < 0 && errno == EAGAIN)
		return STEP_BLOCKED;
	if (n < 0 && errno == EINTR)
		return STEP_MOVED;
	if (n < 0)
		return failed(conn, &rx->lane, errno);
	if ((size_t)n > size)
		return failed(conn, &rx->lane, EOVERFLOW);
	now = now_ns();
	measure_gap(conn, now);
	rx->lane.last_ns = now;
	if (memcmp(rx->buf + size, guard, GUARD) != 0)
		rx->overruns++;
	if (n == 0)
		return read_end(conn);
	checker_feed(&rx->checker, rx->buf, (size_t)n);
	rx->lane.pos += (uint64_t)n;
	if (conn->rr && rx->message_left) {
		rx->message_left -= (size_t)n;
		if (!rx->message_left)
			return message_read(conn, now);
	}
	return STEP_MOVED;
}
