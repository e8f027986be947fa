/* SPDX-License-Identifier: MIT */
/*
 * For the part compare: how long a connection waits for its rings. The client says
 * as much as makes one worth a ring, is quiet then, and looks every millisecond
 * whether both its directions are on a ring.
 *
 *   setups serve PORT                      answers on any number of connections
 *   setups run ADDRESS PORT ROUNDS MANY    one connection; ROUNDS one after the
 *                                          other; ROUNDS times MANY at once
 *
 * The client prints a line for each connection: first, one or many, and ms. The
 * first is its own: with it libxvmc starts a thread, which says hello to xvmcd.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/util.h"
#include "xvmc/xvmc.h"

#define MANY_MAX 64u
#define TRIPS 8 /* 16 calls of either end: that is worth a ring */
#define LOOK_NS 1000000
#define LIMIT_NS 60000000000u
#define PAUSE_NS 500000000 /* what the last ones leave is taken down meanwhile */

static int failed(const char *what)
{
	fprintf(stderr, "setups: %s: %s\n", what, strerror(errno));
	return 1;
}

/* ---- the server ---- */

static void *answer(void *arg)
{
	int fd = (int)(intptr_t)arg;
	uint64_t word;

	while (read_full(fd, &word, sizeof(word)) == 1 && write_full(fd, &word, sizeof(word)) == 0)
		;
	close(fd);
	return NULL;
}

static int serve(const struct sockaddr_in *sa)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0 ||
	    listen(fd, MANY_MAX) < 0)
		return failed("listen");
	puts("listening");
	fflush(stdout);
	for (;;) {
		int conn = accept(fd, NULL, NULL);
		pthread_t thread;

		if (conn < 0)
			return failed("accept");
		setsockopt(conn, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (pthread_create(&thread, NULL, answer, (void *)(intptr_t)conn) != 0)
			return failed("thread");
		pthread_detach(thread);
	}
}

/* ---- the client ---- */

static int (*info_of)(int fd, struct xvmc_fd_info *ret);

static bool on_rings(int fd)
{
	struct xvmc_fd_info info = { .size = sizeof(info) };

	return info_of(fd, &info) == 0 && info.tx.path == XVMC_FD_RING &&
	       info.rx.path == XVMC_FD_RING;
}

static bool trip(int fd)
{
	uint64_t word = now_ns(), back = 0;

	return write_full(fd, &word, sizeof(word)) == 0 &&
	       read_full(fd, &back, sizeof(back)) == 1 && back == word;
}

static int open_one(const struct sockaddr_in *sa)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (fd < 0 || connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* n at once. Each has its clock, from before the last call that makes it worth a
 * ring: what follows may be done before that call returns. */
static int round_of(const struct sockaddr_in *sa, unsigned int n, const char *what)
{
	uint64_t began[MANY_MAX], took[MANY_MAX] = { 0 };
	unsigned int left = n;
	int fds[MANY_MAX];

	for (unsigned int i = 0; i < n; i++)
		if ((fds[i] = open_one(sa)) < 0)
			return failed("connect");
	for (int t = 0; t < TRIPS; t++)
		for (unsigned int i = 0; i < n; i++) {
			began[i] = now_ns();
			if (!trip(fds[i]))
				return failed("no answer");
		}
	while (left > 0 && now_ns() < began[0] + LIMIT_NS) {
		sleep_until(now_ns() + LOOK_NS);
		for (unsigned int i = 0; i < n; i++) {
			if (took[i] || !on_rings(fds[i]))
				continue;
			took[i] = now_ns() - began[i];
			left--;
		}
	}
	if (left > 0) {
		fprintf(stderr, "setups: %u of %u have no rings\n", left, n);
		return 1;
	}
	for (unsigned int i = 0; i < n; i++) {
		if (!trip(fds[i]))
			return failed("no answer by ring");
		printf("%s %.1f\n", what, (double)took[i] / 1e6);
		close(fds[i]);
	}
	sleep_until(now_ns() + PAUSE_NS);
	return 0;
}

static int run(const struct sockaddr_in *sa, unsigned int rounds, unsigned int many)
{
	int rc;

	*(void **)&info_of = dlsym(RTLD_DEFAULT, "xvmc_fd_info");
	if (!info_of || many > MANY_MAX) {
		fputs("setups: to be run by xvmc-run\n", stderr);
		return 1;
	}
	rc = round_of(sa, 1, "first");
	for (unsigned int i = 0; i < rounds && rc == 0; i++)
		rc = round_of(sa, 1, "one");
	for (unsigned int i = 0; i < rounds && rc == 0; i++)
		rc = round_of(sa, many, "many");
	return rc;
}

int main(int argc, char **argv)
{
	struct sockaddr_in sa = { .sin_family = AF_INET };

	if (argc == 3 && !strcmp(argv[1], "serve")) {
		sa.sin_port = htons((uint16_t)atoi(argv[2]));
		return serve(&sa);
	}
	if (argc == 6 && !strcmp(argv[1], "run") && inet_pton(AF_INET, argv[2], &sa.sin_addr) == 1) {
		sa.sin_port = htons((uint16_t)atoi(argv[3]));
		return run(&sa, (unsigned int)atoi(argv[4]), (unsigned int)atoi(argv[5]));
	}
	fputs("usage: setups serve PORT | setups run ADDRESS PORT ROUNDS MANY\n", stderr);
	return 2;
}
