/* SPDX-License-Identifier: MIT */
/*
 * xvmc-bench wait: what a wait costs that finds a few active connections
 * among many idle ones in one epoll. Two processes of its own, so that what
 * is ready is ready before it is waited for: nobody sleeps, and only
 * epoll_wait() is on the clock.
 */
#include "bench.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hist.h"
#include "xvmc/xvmc.h"

#define ACTIVE 10u
#define EVENTS 64
#define WARM_PASSES 10u /* over all connections, until they are where they stay */
#define SPARE_FDS 64u

struct ends {
	int *fd;      /* the active ones first */
	unsigned all; /* idle and active */
	int control;
};

/* ---- the peer: connects, sends when told ---- */

static int trips(const struct bench_options *o, const struct ends *e, char *buf,
		 unsigned connections)
{
	unsigned n = o->warm_trips / WARM_PASSES + 1;

	for (unsigned pass = 0; pass < WARM_PASSES; pass++)
		for (unsigned i = 0; i < connections; i++)
			for (unsigned t = 0; t < n; t++) {
				if (write_full(e->fd[i], buf, o->bytes) < 0 ||
				    read_full(e->fd[i], buf, o->bytes) != 1)
					return -EPIPE;
			}
	return 0;
}

static int round_of(const struct bench_options *o, const struct ends *e, char *buf)
{
	for (unsigned i = 0; i < ACTIVE; i++)
		if (write_full(e->fd[i], buf, o->bytes) < 0)
			return -EPIPE;
	if (write_full(e->control, "s", 1) < 0)
		return -EPIPE;
	for (unsigned i = 0; i < ACTIVE; i++)
		if (read_full(e->fd[i], buf, o->bytes) != 1)
			return -EPIPE;
	return 0;
}

static int connect_to(const struct addr *addr, struct ends *e, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		e->fd[i] = addr_connect(addr);
		if (e->fd[i] < 0) {
			complain("cannot connect: %s", strerror(-e->fd[i]));
			return e->fd[i];
		}
	}
	return 0;
}

/* The active ones come first: they shall not go without what the idle ones
 * have used up. */
static int peer(const struct bench_options *o, struct ends *e, const struct addr *addr)
{
	char *buf = must_alloc(o->bytes);
	char go;

	if (connect_to(addr, e, 0, ACTIVE) < 0 || trips(o, e, buf, ACTIVE) < 0)
		return EXIT_WRONG;
	sleep_until(now_ns() + 100000000);
	if (trips(o, e, buf, ACTIVE) < 0 || connect_to(addr, e, ACTIVE, e->all) < 0 ||
	    trips(o, e, buf, e->all) < 0 || write_full(e->control, "w", 1) < 0)
		return EXIT_WRONG;
	while (read_full(e->control, &go, 1) == 1)
		if (round_of(o, e, buf) < 0)
			return EXIT_WRONG;
	return EXIT_RIGHT;
}

/* ---- who waits ---- */

static int answer(const struct bench_options *o, int fd, char *buf)
{
	int r = read_full(fd, buf, o->bytes);

	return r == 1 ? write_full(fd, buf, o->bytes) : -EPIPE;
}

static int take(struct ends *e, unsigned *n, int listen_fd, int epfd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int fd = accept(listen_fd, NULL, NULL);

	if (fd < 0)
		return -errno;
	if (*n == e->all)
		return -EPROTO;
	addr_nodelay(fd);
	ev.data.fd = e->fd[(*n)++] = fd;
	return epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

/* Until the peer says that it is done. */
static int echo(const struct bench_options *o, struct ends *e, int listen_fd, int epfd,
		char *buf)
{
	struct epoll_event evs[EVENTS];
	unsigned taken = 0;
	int err = 0;
	char c;

	while (err == 0) {
		int n = epoll_wait(epfd, evs, EVENTS, -1);

		if (n < 0 && errno != EINTR)
			err = -errno;
		for (int i = 0; i < n && err == 0; i++) {
			int fd = evs[i].data.fd;

			if (fd == e->control)
				return read_full(fd, &c, 1) == 1 && taken == e->all ? 0 : -EPIPE;
			err = fd == listen_fd ? take(e, &taken, listen_fd, epfd) :
						answer(o, fd, buf);
		}
	}
	return err;
}

/* One round: all that is ready, and one look when nothing is. */
static int measure(const struct bench_options *o, const struct ends *e, int epfd, char *buf,
		   struct hist *ready, struct hist *empty)
{
	struct epoll_event evs[EVENTS];
	unsigned got = 0;
	uint64_t then, spent = 0;
	int n;
	char c;

	if (write_full(e->control, "g", 1) < 0 || read_full(e->control, &c, 1) != 1)
		return -EPIPE;
	while (got < ACTIVE) {
		then = now_ns();
		n = epoll_wait(epfd, evs, EVENTS, 1000);
		spent += now_ns() - then;
		if (n <= 0)
			return n < 0 ? -errno : -ETIMEDOUT;
		got += (unsigned)n;
		for (int i = 0; i < n; i++)
			if (read_full(evs[i].data.fd, buf, o->bytes) != 1)
				return -EPIPE;
	}
	hist_add(ready, spent);
	then = now_ns();
	n = epoll_wait(epfd, evs, EVENTS, 0);
	hist_add(empty, now_ns() - then);
	if (n != 0)
		return n < 0 ? -errno : -EPROTO;
	for (unsigned i = 0; i < ACTIVE; i++)
		if (write_full(e->fd[i], buf, o->bytes) < 0)
			return -EPIPE;
	return 0;
}

/* Of what the active ones have moved, how much by ring: 0 without the library. */
static uint64_t ring_bytes(const struct ends *e)
{
	static int (*info_of)(int, struct xvmc_fd_info *);
	uint64_t sum = 0;

	*(void **)&info_of = dlsym(RTLD_DEFAULT, "xvmc_fd_info");
	for (unsigned i = 0; info_of && i < ACTIVE; i++) {
		struct xvmc_fd_info info = { .size = sizeof(info) };

		if (info_of(e->fd[i], &info) == 0)
			sum += info.tx.ring_bytes + info.rx.ring_bytes;
	}
	return sum;
}

static int wait_side(const struct bench_options *o, struct ends *e, int listen_fd)
{
	static struct hist warm, ready, empty;
	struct epoll_event control = { .events = EPOLLIN, .data.fd = e->control };
	struct epoll_event listener = { .events = EPOLLIN, .data.fd = listen_fd };
	char *buf = must_alloc(o->bytes);
	int epfd = epoll_create1(0);
	uint64_t end, by_ring;
	int err;

	if (epfd < 0 || epoll_ctl(epfd, EPOLL_CTL_ADD, e->control, &control) < 0 ||
	    epoll_ctl(epfd, EPOLL_CTL_ADD, listen_fd, &listener) < 0)
		return -errno;
	err = echo(o, e, listen_fd, epfd, buf);
	epoll_ctl(epfd, EPOLL_CTL_DEL, listen_fd, NULL);
	epoll_ctl(epfd, EPOLL_CTL_DEL, e->control, NULL);
	/* The idle ones fall idle. */
	end = now_ns() + (uint64_t)(o->warm_seconds * 1e9);
	while (err == 0 && now_ns() < end)
		err = measure(o, e, epfd, buf, &warm, &warm);
	by_ring = ring_bytes(e);
	end = now_ns() + (uint64_t)(o->seconds * 1e9);
	while (err == 0 && now_ns() < end)
		err = measure(o, e, epfd, buf, &ready, &empty);
	if (err < 0)
		return err;
	by_ring = ring_bytes(e) - by_ring;
	printf("{\"pattern\":\"wait\",\"connections\":%u,\"active\":%u,\"rounds\":%llu,"
	       "\"ready_us\":%.3f,\"empty_us\":%.3f,\"per_ms\":%.3f,\"bytes_moved\":%llu,"
	       "\"ring_bytes\":%llu}\n",
	       e->all, ACTIVE, (unsigned long long)ready.count,
	       (double)hist_quantile(&ready, 0.5) / 1e3, (double)hist_quantile(&empty, 0.5) / 1e3,
	       1e6 / (double)(hist_quantile(&ready, 0.5) + hist_quantile(&empty, 0.5)),
	       (unsigned long long)(2 * o->bytes * ready.count * ACTIVE),
	       (unsigned long long)by_ring);
	return 0;
}

int bench_wait(const struct bench_options *o)
{
	unsigned all = o->connections + ACTIVE;
	unsigned long need = all + SPARE_FDS;
	struct ends e = { must_alloc(all * sizeof(int)), all, -1 };
	struct addr addr = o->addr;
	struct rlimit lim;
	int listen_fd, control[2], err, status = 0;
	pid_t pid;

	if (getrlimit(RLIMIT_NOFILE, &lim) == 0 && lim.rlim_cur < need) {
		complain("%u connections want %lu descriptors, and %lu are allowed: ulimit -n %lu",
			 all, need, (unsigned long)lim.rlim_cur, need);
		return EXIT_WRONG;
	}
	listen_fd = addr_listen(&addr);
	if (listen_fd < 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, control) < 0 ||
	    addr_tcp(AF_INET, NULL, addr_port(listen_fd), &addr) < 0) {
		complain("cannot listen");
		return EXIT_WRONG;
	}
	pid = fork();
	if (pid == 0) {
		close(listen_fd);
		close(control[0]);
		e.control = control[1];
		exit(peer(o, &e, &addr));
	}
	close(control[1]);
	e.control = control[0];
	err = pid < 0 ? -errno : wait_side(o, &e, listen_fd);
	if (err < 0)
		complain("wait: %s", strerror(-err));
	close(e.control);
	if (pid > 0 && (waitpid(pid, &status, 0) != pid || status) && err == 0) {
		complain("the peer has failed");
		err = -EPIPE;
	}
	free(e.fd);
	return err < 0 ? EXIT_WRONG : EXIT_RIGHT;
}
