/* SPDX-License-Identifier: MIT */
/*
 * For the part mclient: one who asks every 20 ms and waits for the answer. What
 * he waits longest is the outage that a client sees. He says little, so as not
 * to be what dirties the memory of the guest that is migrated.
 *
 *   outage serve PORT           answers one client
 *   outage run ADDRESS PORT     until SIGTERM; then prints that time, in ms
 *
 * Both are right only if each number comes once and in order.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/util.h"

#define PERIOD_NS 20000000

static volatile sig_atomic_t over;

static void end(int sig)
{
	(void)sig;
	over = 1;
}

/* The signal that ends the run may come while we wait. */
static bool put(int fd, uint64_t number)
{
	return write_full(fd, &number, sizeof(number)) == 0;
}

static bool get(int fd, uint64_t *ret_number)
{
	return read_full(fd, ret_number, sizeof(*ret_number)) == 1;
}

static int failed(const char *what)
{
	fprintf(stderr, "outage: %s: %s\n", what, strerror(errno));
	return 1;
}

static int serve(int fd, struct sockaddr_in *sa)
{
	uint64_t number, want = 0;
	int one = 1, conn;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)sa, sizeof(*sa)) < 0 || listen(fd, 1) < 0)
		return failed("listen");
	puts("listening");
	fflush(stdout);
	conn = accept(fd, NULL, NULL);
	if (conn < 0)
		return failed("accept");
	while (get(conn, &number)) {
		if (number != want++ || !put(conn, number))
			return failed("a number is wrong");
	}
	return 0;
}

static int run(int fd, const struct sockaddr_in *sa)
{
	struct timespec pause = { .tv_nsec = PERIOD_NS };
	uint64_t number, n = 0;
	uint64_t longest = 0;
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0)
		return failed("connect");
	for (; !over; n++) {
		uint64_t then = now_ns(), took;

		if (!put(fd, n) || !get(fd, &number) || number != n)
			return failed("no answer, or a wrong one");
		took = now_ns() - then;
		if (took > longest)
			longest = took;
		nanosleep(&pause, NULL);
	}
	printf("%.0f\n", (double)longest / 1e6);
	return 0;
}

int main(int argc, char **argv)
{
	bool serves = argc == 3 && strcmp(argv[1], "serve") == 0;
	struct sockaddr_in sa = { .sin_family = AF_INET };
	struct sigaction act = { .sa_handler = end };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || !(serves || (argc == 4 && strcmp(argv[1], "run") == 0)) ||
	    inet_pton(AF_INET, serves ? "0.0.0.0" : argv[2], &sa.sin_addr) != 1) {
		fputs("usage: outage serve PORT | outage run ADDRESS PORT\n", stderr);
		return 2;
	}
	sa.sin_port = htons((uint16_t)atoi(argv[argc - 1]));
	if (serves)
		return serve(fd, &sa);
	sigaction(SIGTERM, &act, NULL);
	return run(fd, &sa);
}
