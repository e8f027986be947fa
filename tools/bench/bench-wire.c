/* SPDX-License-Identifier: MIT */
/*
 * What both ends of xvmc-bench agree on: the header line, the question for
 * the server's CPU time, and how a whole message is read and written in
 * the blocking and in the epoll style.
 */
#include "bench.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static const char *const pattern_names[PATTERN_COUNT] = {
	[PATTERN_RR] = "rr",
	[PATTERN_STREAM] = "stream",
	[PATTERN_CRR] = "crr",
	[PATTERN_CPU] = "cpu",
};

void header_format(const struct header *header, char text[HEADER_LEN])
{
	int len = snprintf(text, HEADER_LEN, "xvmc-bench %s %zu %zu %s %zu",
			   pattern_names[header->pattern], header->bytes, header->response,
			   header->epoll ? "epoll" : "block", header->buffer);

	memset(text + len, ' ', (size_t)(HEADER_LEN - len));
	text[HEADER_LEN - 1] = '\n';
}

int header_parse(const char text[HEADER_LEN], struct header *ret_header)
{
	struct header header = { .pattern = PATTERN_COUNT };
	char line[HEADER_LEN + 1];
	char pattern[16];
	char mode[16];

	memcpy(line, text, HEADER_LEN);
	line[HEADER_LEN] = '\0';
	if (sscanf(line, "xvmc-bench %15s %zu %zu %15s %zu", pattern, &header.bytes,
		   &header.response, mode, &header.buffer) != 5)
		return -EPROTO;
	for (enum pattern p = 0; p < PATTERN_COUNT; p++)
		if (strcmp(pattern, pattern_names[p]) == 0)
			header.pattern = p;
	if (header.pattern == PATTERN_COUNT || header.bytes > MESSAGE_MAX ||
	    header.response > MESSAGE_MAX || header.buffer > MESSAGE_MAX)
		return -EPROTO;
	header.epoll = strcmp(mode, "epoll") == 0;
	*ret_header = header;
	return 0;
}

int bench_open(const struct bench_options *options, const struct header *header)
{
	char text[HEADER_LEN];
	int fd = addr_connect(&options->addr);
	int err;

	if (fd < 0)
		return fd;
	header_format(header, text);
	err = write_full(fd, text, sizeof(text));
	if (err < 0) {
		close(fd);
		return err;
	}
	return fd;
}

int bench_server_cpu(int fd, struct cpu_time *ret_cpu)
{
	char line[ANSWER_LEN + 1] = "";
	int r = write_full(fd, "?", 1);

	if (r == 0)
		r = read_full(fd, line, ANSWER_LEN);
	if (r == 0)
		return -EPIPE;
	if (r < 0)
		return r;
	if (sscanf(line, "cpu %lf %lf", &ret_cpu->user_s, &ret_cpu->sys_s) != 2)
		return -EPROTO;
	return 0;
}

int message_epoll(int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epfd = epoll_create1(EPOLL_CLOEXEC);
	int err = set_nonblocking(fd);

	if (epfd < 0)
		return -errno;
	if (err == 0 && epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &event) < 0)
		err = -errno;
	if (err < 0) {
		close(epfd);
		return err;
	}
	return epfd;
}

/* Sleeps until the socket can be read, or written. */
static int epoll_sleep(int fd, int epfd, uint32_t events)
{
	struct epoll_event event = { .events = events };

	if (events != EPOLLIN && epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &event) < 0)
		return -errno;
	while (epoll_wait(epfd, &event, 1, -1) < 0)
		if (errno != EINTR)
			return -errno;
	event.events = EPOLLIN;
	if (events != EPOLLIN && epoll_ctl(epfd, EPOLL_CTL_MOD, fd, &event) < 0)
		return -errno;
	return 0;
}

int message_read(int fd, int epfd, void *buf, size_t n)
{
	size_t got = 0;

	if (epfd < 0)
		return read_full(fd, buf, n);
	while (got < n) {
		int err = epoll_sleep(fd, epfd, EPOLLIN);
		ssize_t r;

		if (err < 0)
			return err;
		r = read(fd, (char *)buf + got, n - got);
		if (r < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (r == 0)
			return got ? -EPIPE : 0;
		if (r > 0)
			got += (size_t)r;
	}
	return 1;
}

int message_write(int fd, int epfd, const void *buf, size_t n)
{
	size_t put = 0;

	if (epfd < 0)
		return write_full(fd, buf, n);
	while (put < n) {
		ssize_t r = write(fd, (const char *)buf + put, n - put);
		int err = 0;

		if (r > 0)
			put += (size_t)r;
		else if (r < 0 && errno == EAGAIN)
			err = epoll_sleep(fd, epfd, EPOLLOUT);
		else if (r < 0 && errno != EINTR)
			err = -errno;
		if (err < 0)
			return err;
	}
	return 0;
}
