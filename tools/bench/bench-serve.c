/* SPDX-License-Identifier: MIT */
/*
 * The server of xvmc-bench: a thread for each connection. The threads wait
 * in accept() themselves and are used again, so that a short connection
 * costs neither a hand-over nor a new thread.
 */
#include "bench.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SPARE_THREADS 4

struct server {
	int listen_fd;
	_Atomic int waiting; /* threads in accept() */
};

static void serve_rr(int fd, const struct header *header)
{
	size_t size = header->bytes > header->response ? header->bytes : header->response;
	char *buf = must_alloc(size + 1);
	int epfd = header->epoll ? message_epoll(fd) : -1;

	while (message_read(fd, epfd, buf, header->bytes) == 1)
		if (message_write(fd, epfd, buf, header->response) < 0)
			break;
	if (epfd >= 0)
		close(epfd);
	free(buf);
}

static void serve_stream(int fd, const struct header *header)
{
	char answer[ANSWER_LEN] = "";
	char *buf = must_alloc(header->buffer + 1);
	uint64_t bytes = 0;
	ssize_t n;

	while ((n = read(fd, buf, header->buffer)) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			bytes += (uint64_t)n;
	if (n == 0) {
		snprintf(answer, sizeof(answer), "bytes %llu", (unsigned long long)bytes);
		write_full(fd, answer, sizeof(answer));
	}
	free(buf);
}

/* The server closes first: what waits in TIME_WAIT is then not the
 * client's port, of which there are few. */
static void serve_crr(int fd, const struct header *header)
{
	size_t size = header->bytes > header->response ? header->bytes : header->response;
	char *buf = must_alloc(size + 1);

	if (read_full(fd, buf, header->bytes) == 1)
		write_full(fd, buf, header->response);
	free(buf);
}

static void serve_cpu(int fd)
{
	char answer[ANSWER_LEN] = "";
	char question;

	while (read_full(fd, &question, 1) == 1) {
		struct cpu_time cpu = cpu_used();

		snprintf(answer, sizeof(answer), "cpu %.6f %.6f", cpu.user_s, cpu.sys_s);
		if (write_full(fd, answer, sizeof(answer)) < 0)
			break;
	}
}

static void serve_one(int fd)
{
	char text[HEADER_LEN];
	struct header header;

	if (read_full(fd, text, sizeof(text)) != 1)
		return;
	if (header_parse(text, &header) < 0) {
		complain("a connection began with nonsense");
		return;
	}
	switch (header.pattern) {
	case PATTERN_RR:
		serve_rr(fd, &header);
		break;
	case PATTERN_STREAM:
		serve_stream(fd, &header);
		break;
	case PATTERN_CRR:
		serve_crr(fd, &header);
		break;
	case PATTERN_CPU:
	case PATTERN_COUNT:
		serve_cpu(fd);
		break;
	}
}

static void *worker(void *arg);

static void add_worker(struct server *server)
{
	pthread_t thread;

	atomic_fetch_add(&server->waiting, 1);
	if (pthread_create(&thread, NULL, worker, server)) {
		atomic_fetch_sub(&server->waiting, 1);
		complain("cannot start a thread");
		return;
	}
	pthread_detach(thread);
}

static bool transient(int err)
{
	return err == EINTR || err == ECONNABORTED || err == EMFILE || err == ENFILE;
}

static void *worker(void *arg)
{
	struct server *server = arg;

	for (;;) {
		int fd = accept(server->listen_fd, NULL, NULL);

		if (fd < 0 && transient(errno))
			continue;
		if (fd < 0)
			break;
		if (atomic_fetch_sub(&server->waiting, 1) == 1)
			add_worker(server);
		addr_nodelay(fd);
		serve_one(fd);
		close(fd);
		if (atomic_fetch_add(&server->waiting, 1) >= SPARE_THREADS)
			break;
	}
	atomic_fetch_sub(&server->waiting, 1);
	return NULL;
}

int bench_serve(const struct bench_options *options)
{
	/* Static: threads may still look at it while the process ends. */
	static struct server server;
	sigset_t signals;
	int signal;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	server.listen_fd = addr_listen(&options->addr);
	if (server.listen_fd < 0) {
		complain("cannot listen: %s", strerror(-server.listen_fd));
		return EXIT_WRONG;
	}
	add_worker(&server);
	printf("listening %u\n", addr_port(server.listen_fd));
	fflush(stdout);
	sigwait(&signals, &signal);
	shutdown(server.listen_fd, SHUT_RDWR);
	if (options->path)
		unlink(options->path);
	if (options->cpu) {
		struct cpu_time cpu = cpu_used();

		printf("{\"pattern\":\"serve\",\"cpu_user_s\":%.6f,\"cpu_sys_s\":%.6f}\n",
		       cpu.user_s, cpu.sys_s);
	}
	return EXIT_RIGHT;
}
