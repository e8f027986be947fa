/* SPDX-License-Identifier: MIT */
/*
 * Of the programs in which two processes use one end of a connection at once,
 * one reading and the other writing; the other end is a process of its own. They
 * are warmed up when the one that reads has seen enough, which it tells the one
 * that writes.
 */
#ifndef CONF_SPLIT_H
#define CONF_SPLIT_H

#include "serve.h"

#define SPLIT_DOWN 4000000u /* to who reads */
#define SPLIT_UP 300000u    /* from who writes */

static bool split_enough(int fd, int trips, double start)
{
	struct xvmc_fd_info info = { .size = sizeof(info) };
	int (*get)(int, struct xvmc_fd_info *);
	const char *want = getenv("CONF_RING");

	if (trips < CONF_WARM_TRIPS)
		return false;
	if (!want || *want != '1')
		return true;
	*(void **)&get = dlsym(RTLD_DEFAULT, "xvmc_fd_info");
	if (get && get(fd, &info) == 0 && info.rx.path == XVMC_FD_RING)
		return true;
	if (conf_now() - start > CONF_WARM_MS / 1000.0) {
		fprintf(stderr, "not on a ring after %d ms\n", CONF_WARM_MS);
		exit(98);
	}
	conf_ms(1);
	return false;
}

CONF_UNUSED static void split_warm_reader(int fd, const int told[2])
{
	double start = conf_now();
	char msg[64];
	int trips = 0;

	do {
		conf_get(fd, msg, sizeof(msg));
		msg[0] = split_enough(fd, trips++, start) ? 'g' : 'w';
		if (write(told[1], msg, 1) != 1)
			conf_die("tell");
	} while (msg[0] != 'g');
}

CONF_UNUSED static void split_warm_writer(int fd, const int told[2])
{
	char msg[64] = "";

	do {
		if (read(told[0], msg, 1) != 1)
			conf_die("await");
		conf_put(fd, msg, sizeof(msg));
	} while (msg[0] != 'g');
}

/* The other end of that. */
CONF_UNUSED static void split_warm_peer(int fd)
{
	char msg[64] = "";

	do {
		conf_put(fd, msg, sizeof(msg));
		conf_get(fd, msg, sizeof(msg));
	} while (msg[0] != 'g');
}

/* So many bytes from position pos on, in pieces of all lengths. */
CONF_UNUSED static void split_put(int fd, size_t pos, size_t size)
{
	static uint8_t buf[70000];

	for (size_t n, i = 0; size; pos += n, size -= n) {
		n = 1 + i++ * 7919 % sizeof(buf);
		n = n < size ? n : size;
		conf_fill(buf, n, pos);
		conf_put(fd, buf, n);
	}
}

CONF_UNUSED static bool split_get(int fd, size_t pos, size_t size)
{
	static uint8_t buf[50000];
	bool same = true;

	for (size_t n; size; pos += n, size -= n) {
		n = size < sizeof(buf) ? size : sizeof(buf);
		conf_get(fd, buf, n);
		same = same && conf_same(buf, n, pos);
	}
	return same;
}

CONF_UNUSED static void *split_put_down(void *fd)
{
	split_put(*(int *)fd, 0, SPLIT_DOWN);
	return NULL;
}

/* The other end: sends and receives at the same time. */
CONF_UNUSED static bool split_both(int fd)
{
	pthread_t thread;
	bool same;

	if (pthread_create(&thread, NULL, split_put_down, &fd) != 0)
		conf_die("thread");
	same = split_get(fd, 0, SPLIT_UP);
	pthread_join(thread, NULL);
	return same;
}

/* A client in a process of its own; and the server's connection to it. */
CONF_UNUSED static pid_t split_begin(void (*client)(int), int *ret_fd)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa);
	pid_t pid = conf_fork();

	if (pid == 0) {
		close(lfd);
		client(conf_connect(&sa));
		_exit(90);
	}
	*ret_fd = serve_accept(lfd);
	close(lfd);
	return pid;
}

#endif
