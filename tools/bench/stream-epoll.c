/* SPDX-License-Identifier: MIT */
/*
 * One thread and one epoll set for half of the connections: level-triggered
 * ones whose interest is changed as it changes, one-shot ones that are armed
 * again after each event, and edge-triggered ones registered once, which
 * must be read and written until they block. A lost edge or wake-up shows
 * as a connection that stalls.
 */
#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVENTS 16
#define STEPS 4

struct loop {
	struct run *run;
	int epfd;
	unsigned left;
};

static bool by_epoll(const struct conn *conn)
{
	return conn->wait >= WAIT_LEVEL;
}

static void set_events(struct loop *loop, struct conn *conn, int op, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = conn };

	if (epoll_ctl(loop->epfd, op, conn->fd, &event) < 0) {
		complain("connection %u: epoll_ctl: %s", conn->id, strerror(errno));
		conn->rx.lane.err = errno;
		conn->rx.lane.done = conn->tx.lane.done = true;
	}
	conn->armed = events;
}

/* What a level-triggered or one-shot connection waits for now. */
static uint32_t interest(const struct conn *conn, uint64_t now)
{
	return (conn_wants_read(conn) ? EPOLLIN : 0u) |
	       (conn_wants_write(conn, now) ? EPOLLOUT : 0u) |
	       (conn->wait == WAIT_ONESHOT ? EPOLLONESHOT : 0u);
}

static void add(struct loop *loop, struct conn *conn)
{
	uint32_t events = conn->wait == WAIT_EDGE ? EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET :
						    interest(conn, now_ns());

	set_events(loop, conn, EPOLL_CTL_ADD, events);
	loop->left++;
}

static void remove_done(struct loop *loop, struct conn *conn)
{
	if (conn->finished || !conn_done(conn))
		return;
	conn->finished = true;
	epoll_ctl(loop->epfd, EPOLL_CTL_DEL, conn->fd, NULL);
	loop->left--;
}

static void level_event(struct loop *loop, struct conn *conn, uint32_t events)
{
	if (events & (EPOLLHUP | EPOLLERR))
		events |= EPOLLIN | EPOLLOUT;
	for (int i = 0; i < STEPS && (events & EPOLLIN); i++)
		if (conn_read(conn) != STEP_MOVED)
			break;
	for (int i = 0; i < STEPS && (events & EPOLLOUT); i++)
		if (conn_write(conn) != STEP_MOVED)
			break;
	if (conn->wait == WAIT_ONESHOT && !conn_done(conn))
		set_events(loop, conn, EPOLL_CTL_MOD, interest(conn, now_ns()));
}

/* An edge-triggered connection, as far as it may go now. true: it could go
 * on, others come first. */
static bool edge_run(struct conn *conn)
{
	for (int i = 0; i < STEPS; i++) {
		enum step r = conn->may_read ? conn_read(conn) : STEP_BLOCKED;
		enum step w = conn->may_write ? conn_write(conn) : STEP_BLOCKED;

		if (r == STEP_BLOCKED)
			conn->may_read = false;
		if (w == STEP_BLOCKED)
			conn->may_write = false;
		if (r != STEP_MOVED && w != STEP_MOVED)
			return false;
	}
	return true;
}

static void edge_event(struct conn *conn, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		conn->may_read = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		conn->may_write = true;
}

/* Runs the edge-triggered, arms the others. The time until which epoll may
 * sleep. */
static uint64_t sweep(struct loop *loop, uint64_t now)
{
	uint64_t until = now + 100000000u;

	for (unsigned i = 0; i < loop->run->config.connections; i++) {
		struct conn *conn = &loop->run->conns[i];

		if (!by_epoll(conn) || conn->finished)
			continue;
		if (conn->wait == WAIT_EDGE) {
			if (edge_run(conn))
				until = now;
		} else if (interest(conn, now) != conn->armed) {
			set_events(loop, conn, EPOLL_CTL_MOD, interest(conn, now));
		}
		if (!conn->tx.lane.done && conn->tx.not_before > now &&
		    conn->tx.not_before < until)
			until = conn->tx.not_before;
		remove_done(loop, conn);
	}
	return until;
}

static int patience(uint64_t until)
{
	uint64_t now = now_ns();

	return until > now ? (int)((until - now) / 1000000u) + 1 : 0;
}

static void turn(struct loop *loop)
{
	struct epoll_event events[EVENTS];
	uint64_t until = sweep(loop, now_ns());
	int n;

	if (!loop->left)
		return;
	n = epoll_wait(loop->epfd, events, EVENTS, patience(until));
	for (int i = 0; i < n; i++) {
		struct conn *conn = events[i].data.ptr;

		if (conn->wait == WAIT_EDGE)
			edge_event(conn, events[i].events);
		else
			level_event(loop, conn, events[i].events);
	}
}

void drive_epoll(struct run *run)
{
	struct loop loop = { .run = run, .epfd = epoll_create1(EPOLL_CLOEXEC) };

	if (loop.epfd < 0) {
		complain("epoll_create1: %s", strerror(errno));
		exit(EXIT_WRONG);
	}
	for (unsigned i = 0; i < run->config.connections; i++)
		if (by_epoll(&run->conns[i]))
			add(&loop, &run->conns[i]);
	while (loop.left)
		turn(&loop);
	close(loop.epfd);
}
