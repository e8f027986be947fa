/* SPDX-License-Identifier: MIT */
/*
 * What a program says: results, bits of readiness, what an epoll tells. And
 * what all of these headers need.
 */
#ifndef CONF_SAY_H
#define CONF_SAY_H

#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "xvmc/xvmc.h"

#define CONF_WARM_TRIPS 64
#define CONF_WARM_MS 5000

static const char *conf_role = "";
static int conf_step_fd = -1;
static FILE *conf_out;

#define CONF_UNUSED __attribute__((unused))

CONF_UNUSED static void conf_ms(int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) < 0 && errno == EINTR)
		;
}

/* ---- saying what was seen ---- */

CONF_UNUSED __attribute__((format(printf, 1, 2))) static void conf_say(const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	fputs(conf_role, conf_out ? conf_out : stdout);
	va_start(ap, fmt);
	vfprintf(conf_out ? conf_out : stdout, fmt, ap);
	va_end(ap);
	fputc('\n', conf_out ? conf_out : stdout);
	fflush(conf_out ? conf_out : stdout);
	errno = saved;
}

CONF_UNUSED __attribute__((noreturn)) static void conf_die(const char *what)
{
	fprintf(stderr, "%s%s: %s\n", conf_role, what, strerror(errno));
	exit(99);
}

/* "recv = 3" or "recv = -1 EAGAIN"; gives r back. */
CONF_UNUSED static long conf_res(const char *what, long r)
{
	if (r == -1)
		conf_say("%s = -1 %s", what, strerrorname_np(errno));
	else
		conf_say("%s = %ld", what, r);
	return r;
}

static const char *conf_bits(unsigned int bits)
{
	static const struct {
		unsigned int bit;
		const char *name;
	} names[] = {
		{ POLLIN, "IN" },
		{ POLLPRI, "PRI" },
		{ POLLOUT, "OUT" },
		{ POLLERR, "ERR" },
		{ POLLHUP, "HUP" },
		{ POLLNVAL, "NVAL" },
		{ POLLRDNORM, "RDNORM" },
		{ POLLRDBAND, "RDBAND" },
		{ POLLWRNORM, "WRNORM" },
		{ POLLWRBAND, "WRBAND" },
		{ POLLRDHUP, "RDHUP" },
	};
	static char buf[128];

	buf[0] = '\0';
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(bits & names[i].bit))
			continue;
		if (buf[0])
			strcat(buf, "|");
		strcat(buf, names[i].name);
	}
	return buf[0] ? buf : "0";
}

#define CONF_ALL \
	(POLLIN | POLLOUT | POLLRDHUP | POLLPRI | POLLRDNORM | POLLWRNORM)

/* Says what poll says of fd within ms. */
CONF_UNUSED static void conf_poll(int fd, short events, int ms)
{
	struct pollfd p = { .fd = fd, .events = events };
	int r = poll(&p, 1, ms);

	conf_say("poll = %d %s", r, conf_bits((unsigned short)p.revents));
}

/* Says what epoll_wait says within ms; the data must be small numbers. */
CONF_UNUSED static int conf_epoll(int epfd, int ms)
{
	struct epoll_event evs[8];
	int r;

	/* What is ready at the same instant may be reported by two waits where
	 * some of it is on rings: a little later it is one. */
	conf_ms(1);
	r = epoll_wait(epfd, evs, 8, ms);

	conf_res("epoll_wait", r);
	/* By data, since the order is nobody's promise. */
	for (uint64_t data = 0; r > 0 && data < 16; data++)
		for (int i = 0; i < r; i++)
			if (evs[i].data.u64 == data)
				conf_say("  %d: %s", (int)data,
					 conf_bits(evs[i].events));
	return r;
}

/* Nothing is reported. While the connection is being switched an edge too
 * many is allowed, as it always is with epoll. */
CONF_UNUSED static void conf_silent(int epfd)
{
	struct epoll_event ev;
	int r = epoll_wait(epfd, &ev, 1, 20);

	if (r == 1 && getenv("CONF_SWITCH"))
		r = 0;
	conf_say("silent: %s", r == 0 ? "yes" : "no");
}

CONF_UNUSED static void conf_watch(int epfd, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event ev = { .events = events, .data.u64 = data };

	if (epoll_ctl(epfd, op, fd, &ev) < 0)
		conf_say("epoll_ctl = -1 %s", strerrorname_np(errno));
}

#endif
