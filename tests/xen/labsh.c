/* SPDX-License-Identifier: MIT */
/*
 * Commands in a guest of the lab: `labsh serve PORT` runs there, `labsh run`
 * asks it. Linked statically, so that it starts in any image. For the lab
 * only: it runs whatever anybody on that network asks for.
 *
 *   labsh serve PORT
 *   labsh run [-i] [-t SECONDS] ADDRESS PORT COMMAND
 *       COMMAND goes to /bin/sh -c there; its output comes here, its status
 *       is ours. -i: our standard input is the command's. 124: it took too
 *       long (and was killed), 125: nobody answers.
 *
 * One connection is one command. To the server: length (4), command, then
 * standard input until the end of file. From it: length (4) and so many bytes
 * of output, again and again; length 0 and status (4) at the end.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/util.h"

#define COMMAND_MAX (1u << 20)
#define LATE 124
#define NOBODY 125

static bool put(int fd, const void *buf, size_t len)
{
	return write_full(fd, buf, len) == 0;
}

static bool get(int fd, void *buf, size_t len)
{
	return read_full(fd, buf, len) == 1;
}

/* ---- the server ---- */

static bool frame(int sock, const char *buf, uint32_t len)
{
	return put(sock, &len, sizeof(len)) && put(sock, buf, len);
}

static int status_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 126;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Relays until the command has ended, not until its output has: what it left
 * in the background may keep that open. False: the client has gone. */
static bool relay(int sock, int out, int pidfd)
{
	struct pollfd p[3] = { { .fd = out, .events = POLLIN },
			       { .fd = pidfd, .events = POLLIN },
			       { .fd = sock } };
	char buf[65536];

	for (;;) {
		ssize_t n = 0;

		if (poll(p, 3, -1) < 0)
			continue;
		if (p[0].revents) {
			n = read(out, buf, sizeof(buf));
			if (n > 0 && !frame(sock, buf, (uint32_t)n))
				return false;
			if (n <= 0)
				p[0].fd = -1;
		}
		if (p[2].revents & (POLLERR | POLLHUP))
			return false;
		if (n <= 0 && p[1].revents)
			return true;
	}
}

static void run_command(int sock, const char *command)
{
	uint32_t end[2] = { 0, 126 };
	int out[2], pidfd;
	pid_t pid;

	if (pipe(out) < 0)
		return;
	pid = fork();
	if (pid == 0) {
		setsid();
		dup2(sock, 0);
		dup2(out[1], 1);
		dup2(out[1], 2);
		close(sock);
		close(out[0]);
		close(out[1]);
		signal(SIGPIPE, SIG_DFL);
		execl("/bin/sh", "sh", "-c", command, (char *)NULL);
		_exit(127);
	}
	close(out[1]);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (!relay(sock, out[0], pidfd))
		kill(-pid, SIGKILL);
	end[1] = (uint32_t)status_of(pid);
	put(sock, end, sizeof(end));
}

/* Something goes over it every minute, though the command says nothing for long:
 * QEMU's user network drops a connection that is idle for twelve minutes. */
static void keep_alive(int sock)
{
	int one = 1, every_s = 60;

	setsockopt(sock, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	setsockopt(sock, IPPROTO_TCP, TCP_KEEPIDLE, &every_s, sizeof(every_s));
	setsockopt(sock, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof(every_s));
}

static void serve_one(int sock)
{
	uint32_t len;
	char *command;

	keep_alive(sock);
	if (!get(sock, &len, sizeof(len)) || len > COMMAND_MAX)
		return;
	command = calloc(1, len + 1);
	if (command && get(sock, command, len))
		run_command(sock, command);
	free(command);
}

static int serve(uint16_t port)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	int one = 1, sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(sock, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(sock, 64) < 0) {
		perror("labsh: listen");
		return 1;
	}
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int c = accept4(sock, NULL, NULL, SOCK_CLOEXEC);

		if (c < 0)
			continue;
		if (fork() == 0) {
			signal(SIGCHLD, SIG_DFL);
			signal(SIGPIPE, SIG_IGN);
			serve_one(c);
			_exit(0);
		}
		close(c);
	}
}

/* ---- the client ---- */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

struct client {
	int sock;
	bool input;
	int64_t until; /* ms */
};

static void feed(struct client *c)
{
	char buf[65536];
	ssize_t n = read(0, buf, sizeof(buf));

	if (n > 0 && put(c->sock, buf, (size_t)n))
		return;
	c->input = false;
	shutdown(c->sock, SHUT_WR);
}

/* One frame. The status, or -1: there is more to come. */
static int take_frame(int sock)
{
	uint32_t len, status;
	char buf[65536];

	if (!get(sock, &len, sizeof(len)))
		return NOBODY;
	if (len == 0)
		return get(sock, &status, sizeof(status)) ? (int)(status & 255) : NOBODY;
	while (len > 0) {
		uint32_t n = len < sizeof(buf) ? len : (uint32_t)sizeof(buf);

		if (!get(sock, buf, n) || !put(1, buf, n))
			return NOBODY;
		len -= n;
	}
	return -1;
}

static int talk(struct client *c)
{
	for (;;) {
		struct pollfd p[2] = { { .fd = c->sock, .events = POLLIN },
				       { .fd = c->input ? 0 : -1, .events = POLLIN } };
		int64_t left = c->until - now_ms();
		int status;

		if (left <= 0)
			return LATE;
		if (poll(p, 2, (int)left) < 0)
			continue;
		if (p[1].revents)
			feed(c);
		if (!p[0].revents)
			continue;
		status = take_frame(c->sock);
		if (status >= 0)
			return status;
	}
}

static int ask(const char *address, uint16_t port, const char *command,
	       bool input, int seconds)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct client c = { .input = input, .until = now_ms() + seconds * 1000ll };
	struct timeval limit = { .tv_sec = seconds };
	uint32_t len = (uint32_t)strlen(command);

	if (inet_pton(AF_INET, address, &sa.sin_addr) != 1)
		return NOBODY;
	c.sock = socket(AF_INET, SOCK_STREAM, 0);
	/* Bounds connect, too. */
	setsockopt(c.sock, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	setsockopt(c.sock, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(c.sock, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    !put(c.sock, &len, sizeof(len)) || !put(c.sock, command, len))
		return NOBODY;
	if (!input)
		shutdown(c.sock, SHUT_WR);
	return talk(&c);
}

static int usage(void)
{
	fputs("usage: labsh serve PORT | labsh run [-i] [-t SECONDS] ADDRESS PORT COMMAND\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	bool input = false;
	int seconds = 60, c;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return serve((uint16_t)atoi(argv[2]));
	if (argc < 2 || strcmp(argv[1], "run") != 0)
		return usage();
	argc--;
	argv++;
	while ((c = getopt(argc, argv, "+it:")) != -1) {
		if (c == 'i')
			input = true;
		else if (c == 't')
			seconds = atoi(optarg);
		else
			return usage();
	}
	if (argc - optind != 3 || seconds <= 0)
		return usage();
	return ask(argv[optind], (uint16_t)atoi(argv[optind + 1]), argv[optind + 2], input, seconds);
}
