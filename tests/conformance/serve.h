/* SPDX-License-Identifier: MIT */
/*
 * Of the programs whose server forks with a connection: a client that follows
 * a script, and what each of the server's processes does of it. A letter of
 * the script is a round:
 *   w  warms up; where CONF_RING=1 says so, until both directions are on rings
 *   t  200 round trips of different lengths, whose content both ends check
 */
#ifndef CONF_SERVE_H
#define CONF_SERVE_H

#include "conf.h"

#define SERVE_TRIPS 200
#define SERVE_MAX 1000u

static size_t serve_len(int trip)
{
	return 1 + (unsigned int)trip * 379 % SERVE_MAX;
}

/* The server's side of a round "t". */
CONF_UNUSED static void serve_trips(int fd)
{
	uint8_t buf[SERVE_MAX];
	uint64_t pos = 0;

	for (int i = 0; i < SERVE_TRIPS; i++) {
		size_t n = serve_len(i);

		conf_get(fd, buf, n);
		if (!conf_same(buf, n, pos))
			_exit(97);
		conf_put(fd, buf, n);
		pos += n;
	}
}

static void client_trips(int fd)
{
	uint8_t buf[SERVE_MAX];
	uint64_t pos = 0;

	for (int i = 0; i < SERVE_TRIPS; i++) {
		size_t n = serve_len(i);

		conf_fill(buf, n, pos);
		conf_put(fd, buf, n);
		memset(buf, 0, n);
		conf_get(fd, buf, n);
		if (!conf_same(buf, n, pos))
			exit(96);
		pos += n;
	}
}

/* In a process of its own, which ends with the connection. */
CONF_UNUSED static pid_t serve_client(const struct sockaddr_in *sa, const char *script)
{
	pid_t pid = conf_fork();
	char c;
	int fd;

	if (pid)
		return pid;
	fd = conf_connect(sa);
	for (; *script; script++) {
		if (*script == 'w')
			conf_warm_client(fd);
		else
			client_trips(fd);
	}
	shutdown(fd, SHUT_WR);
	_exit(recv(fd, &c, 1, 0) == 0 ? 0 : 95);
}

CONF_UNUSED static int serve_accept(int lfd)
{
	int one = 1, fd = accept(lfd, NULL, NULL);

	if (fd < 0)
		conf_die("accept");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* A server that accepts, forks for it, and closes: what the child does. */
CONF_UNUSED static int serve_by(const char *script, void (*child)(int))
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), fd;
	pid_t client = serve_client(&sa, script), pid;

	fd = serve_accept(lfd);
	pid = conf_fork();
	if (pid == 0)
		child(fd);
	conf_res("close", close(fd));
	conf_wait(client);
	conf_wait(pid);
	return 0;
}

/* The end of the script, and of a process of the server's. */
CONF_UNUSED __attribute__((noreturn)) static void serve_end(int fd)
{
	char c;

	_exit(recv(fd, &c, 1, 0) == 0 && close(fd) == 0 ? 0 : 94);
}

/* One process tells another that it may go on. */
CONF_UNUSED static void serve_tell(const int pipe_fd[2])
{
	if (write(pipe_fd[1], "x", 1) != 1)
		conf_die("tell");
}

CONF_UNUSED static void serve_await(const int pipe_fd[2])
{
	char c;

	if (read(pipe_fd[0], &c, 1) != 1)
		conf_die("await");
}

#endif
