/* SPDX-License-Identifier: MIT */
/*
 * Moving bytes whose content follows from their position, and looking at them.
 */
#ifndef CONF_IO_H
#define CONF_IO_H

#include "conf-say.h"

CONF_UNUSED static double conf_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

CONF_UNUSED static void conf_nonblock(int fd, bool on)
{
	int flags = fcntl(fd, F_GETFL);

	if (fcntl(fd, F_SETFL, on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK) < 0)
		conf_die("fcntl");
}

/* All n bytes, or the program ends. */
CONF_UNUSED static void conf_put(int fd, const void *buf, size_t n)
{
	const char *p = buf;

	while (n) {
		ssize_t r = send(fd, p, n, MSG_NOSIGNAL);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			conf_die("send");
		p += r;
		n -= (size_t)r;
	}
}

CONF_UNUSED static void conf_get(int fd, void *buf, size_t n)
{
	char *p = buf;

	while (n) {
		ssize_t r = recv(fd, p, n, 0);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0) {
			if (r == 0)
				errno = ENODATA;
			conf_die("recv");
		}
		p += r;
		n -= (size_t)r;
	}
}

/* Byte at position pos of a stream that every end can check. */
CONF_UNUSED static uint8_t conf_byte(uint64_t pos)
{
	return (uint8_t)(pos * 31 + (pos >> 8) * 17 + (pos >> 16));
}

CONF_UNUSED static void conf_fill(uint8_t *buf, size_t n, uint64_t pos)
{
	for (size_t i = 0; i < n; i++)
		buf[i] = conf_byte(pos + i);
}

CONF_UNUSED static bool conf_same(const uint8_t *buf, size_t n, uint64_t pos)
{
	for (size_t i = 0; i < n; i++)
		if (buf[i] != conf_byte(pos + i))
			return false;
	return true;
}

/* Fills a non-blocking socket until it says EAGAIN for good: what is in
 * flight may still make room for a while, and so does a move from a full ring
 * to TCP, which a busy machine may make wait. Returns how many bytes went. */
CONF_UNUSED static size_t conf_stuff(int fd, uint64_t pos)
{
	int quiet = 0, enough = getenv("CONF_SWITCH") ? 75 : 10;
	uint8_t buf[8192];
	size_t sum = 0;

	while (quiet < enough) {
		ssize_t r;

		conf_fill(buf, sizeof(buf), pos + sum);
		r = send(fd, buf, sizeof(buf), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (r > 0) {
			sum += (size_t)r;
			quiet = 0;
		} else if (errno == EAGAIN) {
			quiet++;
			conf_ms(20);
		} else {
			conf_die("stuff");
		}
	}
	return sum;
}

/* A pointer that leads nowhere, and that no compiler knows to. */
CONF_UNUSED static void *conf_nowhere(void)
{
	static void *volatile p = (void *)64;

	return p;
}

/* The connection ends by a reset. */
CONF_UNUSED static void conf_reset(int fd)
{
	static const struct linger reset = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
}

/* Reads to the end: so many bytes, all of them conf_byte()'s or not. Returns the last
 * recv's result. */
CONF_UNUSED static ssize_t conf_drain_to(int fd, uint64_t *ret_bytes, bool *ret_same)
{
	static uint8_t buf[65536];
	ssize_t r;

	*ret_bytes = 0;
	*ret_same = true;
	while ((r = recv(fd, buf, sizeof(buf), 0)) > 0) {
		*ret_same = *ret_same && conf_same(buf, (size_t)r, *ret_bytes);
		*ret_bytes += (uint64_t)r;
	}
	return r;
}

/* And says how that ended, whatever came. */
CONF_UNUSED static void conf_read_out(int fd)
{
	uint64_t bytes;
	bool same;

	conf_res("recv", conf_drain_to(fd, &bytes, &same));
}

/* And says what came. */
CONF_UNUSED static void conf_drain(int fd)
{
	uint64_t bytes;
	bool same;

	conf_res("end", conf_drain_to(fd, &bytes, &same));
	conf_say("bytes %llu same %d", (unsigned long long)bytes, same);
}

/* The same from one who was killed by a signal. Where the connection is switched
 * all the time, a record may have been on its way to it: to its kernel that is
 * unread, and the end behind the last byte a reset (docs/differences.md). */
CONF_UNUSED static void conf_drain_killed(int fd)
{
	uint64_t bytes;
	bool same;
	ssize_t r = conf_drain_to(fd, &bytes, &same);

	if (r < 0 && errno == ECONNRESET && getenv("CONF_SWITCH"))
		r = 0;
	conf_res("end", r);
	conf_say("bytes %llu same %d", (unsigned long long)bytes, same);
}

/* A file of n bytes of conf_byte(), at its beginning, without a name. */
CONF_UNUSED static int conf_file(size_t n)
{
	FILE *f = tmpfile();
	int fd;

	if (!f)
		conf_die("tmpfile");
	for (size_t i = 0; i < n; i++)
		fputc(conf_byte(i), f);
	fflush(f);
	fd = dup(fileno(f));
	fclose(f);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

#endif
