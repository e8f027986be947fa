/* SPDX-License-Identifier: MIT */
/*
 * Connections with threads of their own: blocking calls, one thread for
 * each direction or, for request-response, one for both; and poll() or
 * select() with one thread for both.
 */
#include "stream.h"

#include <errno.h>
#include <poll.h>
#include <sys/select.h>

#define NAP_NS 20000000u
#define STEPS 2 /* after each wake-up, so that neither direction starves */

/* Until the sender may go on, in small naps: the run may be abandoned. */
static void nap(const struct conn *conn)
{
	uint64_t until = now_ns() + NAP_NS;

	sleep_until(conn->tx.not_before < until ? conn->tx.not_before : until);
}

static bool over(enum step step)
{
	return step == STEP_ENDED || step == STEP_FAILED;
}

void drive_write(struct conn *conn)
{
	enum step step;

	while (!over(step = conn_write(conn)))
		if (step == STEP_PACED)
			nap(conn);
}

void drive_read(struct conn *conn)
{
	while (!over(conn_read(conn)))
		;
}

/* Request-response on a blocking socket. */
static void drive_turns(struct conn *conn)
{
	while (!conn_done(conn)) {
		enum step step;

		while ((step = conn_write(conn)) == STEP_MOVED)
			;
		if (step == STEP_PACED)
			nap(conn);
		else
			while (conn_read(conn) == STEP_MOVED)
				;
	}
}

/* How long a wait may take, in milliseconds. */
static int patience(const struct conn *conn, uint64_t now)
{
	uint64_t due = conn->tx.not_before;

	if (!conn->tx.lane.done && due > now && due - now < 100000000u)
		return (int)((due - now) / 1000000u) + 1;
	return 100;
}

static int wait_poll(struct conn *conn, bool in, bool out, int ms)
{
	struct pollfd fd = {
		.fd = conn->fd,
		.events = (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0)),
	};
	int n = poll(&fd, 1, ms);

	if (n <= 0)
		return n < 0 && errno != EINTR ? -errno : 0;
	if (fd.revents & (POLLERR | POLLHUP))
		return POLLIN | POLLOUT;
	return fd.revents;
}

static int wait_select(struct conn *conn, bool in, bool out, int ms)
{
	struct timeval time = { .tv_usec = ms * 1000 };
	fd_set reads;
	fd_set writes;
	int n;

	FD_ZERO(&reads);
	FD_ZERO(&writes);
	if (in)
		FD_SET(conn->fd, &reads);
	if (out)
		FD_SET(conn->fd, &writes);
	n = select(conn->fd + 1, &reads, &writes, NULL, &time);
	if (n <= 0)
		return n < 0 && errno != EINTR ? -errno : 0;
	return (FD_ISSET(conn->fd, &reads) ? POLLIN : 0) |
	       (FD_ISSET(conn->fd, &writes) ? POLLOUT : 0);
}

static void drive_polling(struct conn *conn)
{
	while (!conn_done(conn)) {
		uint64_t now = now_ns();
		bool in = conn_wants_read(conn);
		bool out = conn_wants_write(conn, now);
		int ms = patience(conn, now);
		int ready = conn->wait == WAIT_SELECT ? wait_select(conn, in, out, ms) :
							wait_poll(conn, in, out, ms);
		enum step read_step = STEP_BLOCKED;
		enum step write_step = STEP_BLOCKED;

		if (ready < 0) {
			complain("connection %u: cannot wait: errno %d", conn->id, -ready);
			conn->rx.lane.err = -ready;
			conn->rx.lane.done = conn->tx.lane.done = true;
			break;
		}
		for (int i = 0; i < STEPS && (ready & POLLIN); i++)
			if ((read_step = conn_read(conn)) != STEP_MOVED)
				break;
		for (int i = 0; i < STEPS && (ready & POLLOUT); i++)
			if ((write_step = conn_write(conn)) != STEP_MOVED)
				break;
		/* Hung up, and nothing to do about it yet. */
		if (ready && !in && !out && read_step != STEP_MOVED && write_step != STEP_MOVED)
			nap(conn);
	}
}

void drive_both(struct conn *conn)
{
	if (conn->wait == WAIT_BLOCK)
		drive_turns(conn);
	else
		drive_polling(conn);
}
