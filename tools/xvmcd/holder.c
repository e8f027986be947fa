/* SPDX-License-Identifier: MIT */
/*
 * One socket, one table, no memory that could run out silently: what cannot
 * be held is answered so, and the channel is not used then.
 */
#include "holder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hv/local-wire.h"

#define LINGER_MS 60000

enum { HOLD = 1, DROP = 2, FORGET = 3 };

struct word {
	struct xvmc_lw_hdr hdr; /* len and type; xvmc_lw_send wants it */
	uint32_t owner, port;
};

struct held {
	uint32_t owner, port, incarnation;
	int fd;
};

static struct held *held;
static size_t nheld, room;

static bool add(const struct word *w, int fd, uint32_t incarnation)
{
	if (nheld == room) {
		size_t n = room ? 2 * room : 64;
		struct held *more = realloc(held, n * sizeof(*held));

		if (!more)
			return false;
		held = more;
		room = n;
	}
	held[nheld++] = (struct held){ w->owner, w->port, incarnation, fd };
	return true;
}

/* What was bound in an earlier incarnation stays, for ever. */
static void release(const struct word *w, uint32_t incarnation, bool all)
{
	for (size_t i = 0; i < nheld;) {
		const struct held *h = &held[i];

		if (h->owner != w->owner || (!all && h->port != w->port) ||
		    h->incarnation != incarnation) {
			i++;
			continue;
		}
		close(h->fd);
		held[i] = held[--nheld];
	}
}

/* A number says in an answer whether it is held. */
static void serve(int sock, uint32_t (*incarnation)(void))
{
	for (;;) {
		int fds[XVMC_LW_FDS_MAX];
		struct pollfd pfd = { .fd = sock, .events = POLLIN };
		unsigned int nfds = 0;
		struct word w;
		ssize_t n;

		poll(&pfd, 1, -1);
		n = xvmc_lw_recv(sock, &w, sizeof(w), fds, &nfds);
		if (n == -EAGAIN || n == -EINTR)
			continue;
		if (n != sizeof(w))
			return;
		if (w.hdr.type == HOLD && nfds == 1 && add(&w, fds[0], incarnation()))
			nfds = 0;
		else if (w.hdr.type == HOLD)
			w.hdr.status = -ENOMEM;
		else
			release(&w, incarnation(), w.hdr.type == FORGET);
		while (nfds > 0)
			close(fds[--nfds]);
		if (w.hdr.type == HOLD && send(sock, &w, sizeof(w), MSG_NOSIGNAL) < 0)
			return;
	}
}

static void run(int sock, uint32_t (*incarnation)(void))
{
	const struct word own = { .owner = 0 };
	struct rlimit lim;
	sigset_t all;
	bool stale = false;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, "xvmcd-holder");
	if (getrlimit(RLIMIT_NOFILE, &lim) == 0) {
		lim.rlim_cur = lim.rlim_max;
		setrlimit(RLIMIT_NOFILE, &lim);
	}
	serve(sock, incarnation);
	/* xvmcd has gone, and with it what was its own. The others' channels
	 * are still in use; another xvmcd's holder gets them. */
	release(&own, incarnation(), true);
	poll(NULL, 0, LINGER_MS);
	for (size_t i = 0; i < nheld; i++)
		stale = stale || held[i].incarnation != incarnation();
	while (stale)
		pause();
	_exit(0);
}

int holder_start(uint32_t (*incarnation)(void), int *ret_sock, pid_t *ret_pid)
{
	int sock[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sock) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);

		setsid();
		/* nothing of xvmcd's but the socket: it may outlive all else */
		for (int i = 0; i < 3; i++)
			dup2(null, i);
		if (dup2(sock[1], 3) < 0)
			_exit(1);
		closefrom(4);
		run(3, incarnation);
	}
	close(sock[1]);
	if (pid < 0) {
		close(sock[0]);
		return -errno;
	}
	*ret_sock = sock[0];
	*ret_pid = pid;
	return 0;
}

static int say(int sock, uint16_t type, uint32_t owner, uint32_t port, int fd)
{
	struct word w = { .hdr = { .type = type, .len = sizeof(w) },
			  .owner = owner,
			  .port = port };
	int rc;

	/* It does nothing but read this socket. */
	while ((rc = xvmc_lw_send(sock, &w, &fd, fd >= 0)) == -EAGAIN) {
		struct pollfd pfd = { .fd = sock, .events = POLLOUT };

		poll(&pfd, 1, 1000);
	}
	return rc;
}

int holder_hold(int sock, uint32_t owner, uint32_t port, int fd)
{
	struct word w;
	int rc = say(sock, HOLD, owner, port, fd);

	if (rc < 0)
		return rc;
	do
		rc = (int)recv(sock, &w, sizeof(w), 0);
	while (rc < 0 && errno == EINTR);
	return rc == sizeof(w) ? w.hdr.status : -EIO;
}

void holder_drop(int sock, uint32_t owner, uint32_t port)
{
	say(sock, DROP, owner, port, -1);
}

void holder_forget(int sock, uint32_t owner)
{
	say(sock, FORGET, owner, 0, -1);
}
