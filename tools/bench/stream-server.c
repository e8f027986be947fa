/* SPDX-License-Identifier: MIT */
/*
 * The server of the checked stream: one run after the other. A client that
 * comes while a run is being set up is told that the server is busy.
 */
#include "stream.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SETUP_S 10.0

/* A connection and its first line; seconds < 0: waits for ever. */
static int next_connection(int listen_fd, double seconds, char first[FIRST_LEN + 1])
{
	struct pollfd wait = { .fd = listen_fd, .events = POLLIN };
	int fd;
	int err;

	if (poll(&wait, 1, seconds < 0 ? -1 : (int)(seconds * 1000)) <= 0)
		return -ETIMEDOUT;
	fd = accept(listen_fd, NULL, NULL);
	if (fd < 0)
		return -errno;
	addr_nodelay(fd);
	err = first_receive(fd, SETUP_S, first);
	if (err < 0) {
		close(fd);
		return err;
	}
	return fd;
}

static int hello_parse(const char *text, struct run_config *ret_config)
{
	struct run_config config = { 0 };
	char mode[16];

	if (sscanf(text,
		   "hello xvmc-stream 1 %" SCNx64 " %" SCNu64 " %u %lf %15s %" SCNu64 " %lf",
		   &config.id, &config.seed, &config.connections, &config.seconds, mode,
		   &config.rate, &config.stall_s) != 7 ||
	    mode_parse(mode, &config.mode) < 0 || config.connections < 1 ||
	    config.connections > CONNECTIONS_MAX)
		return -EPROTO;
	*ret_config = config;
	return 0;
}

/* Collects the checked connections. 0 or -errno. */
static int gather(int listen_fd, struct run *run)
{
	unsigned left = run->config.connections;

	while (left) {
		char first[FIRST_LEN + 1];
		uint64_t id;
		unsigned i;
		int fd = next_connection(listen_fd, SETUP_S, first);

		if (fd < 0)
			return fd;
		if (sscanf(first, "data %" SCNx64 " %u", &id, &i) == 2 && id == run->config.id &&
		    i < run->config.connections && run->conns[i].fd < 0) {
			run->conns[i].fd = fd;
			left--;
			continue;
		}
		if (write(fd, "busy\n", 5) < 0)
			complain("a stray connection");
		close(fd);
	}
	return 0;
}

/* What was received, and telling the client of it. */
static int settle(struct run *run, struct control *control)
{
	unsigned n = run->config.connections;
	uint64_t *sent = must_alloc(n * sizeof(*sent));
	struct side side;
	int status = EXIT_WRONG;
	int err;

	side_init(&side, n);
	err = sent_receive(sent, n, control);
	if (err == 0) {
		side_collect(&side, run, sent);
		status = side_right(&side) ? EXIT_RIGHT : EXIT_WRONG;
		err = sent_send(run, control);
	}
	if (err == 0)
		err = side_send(&side, control);
	if (err == -ECANCELED) {
		halt_send(run, control);
		status = EXIT_STALLED;
	} else if (err < 0) {
		complain("the client is gone: %s", strerror(-err));
		status = EXIT_WRONG;
	}
	side_deinit(&side);
	free(sent);
	return status;
}

/* Ends the threads and frees; what hanging threads still use stays. */
static void discard(struct run *run)
{
	if (!run_abandon(run)) {
		complain("threads hang in their calls");
		return;
	}
	run_deinit(run);
	free(run);
}

static int give_up(struct run *run, struct control *control, enum outcome outcome)
{
	bool gone = outcome == RUN_CALLED && !control->len;

	if (gone)
		complain("the client is gone");
	else
		complain("stalled; seed %" PRIu64, run->config.seed);
	halt_send(run, control);
	discard(run);
	return gone ? EXIT_WRONG : EXIT_STALLED;
}

static int serve_run(int listen_fd, const struct stream_options *options, struct control *control,
		     const struct run_config *config)
{
	struct run *run = must_alloc(sizeof(*run));
	enum outcome outcome;
	int status;
	int err;

	run_init(run, config, false);
	run->pauses = options->pauses;
	run->pause_ns = options->pause_ns;
	run->samples = options->samples;
	err = control_send(control, "ready\n");
	if (err == 0)
		err = gather(listen_fd, run);
	if (err == 0)
		err = control_send(control, "go\n");
	if (err == 0)
		err = run_start(run);
	if (err < 0) {
		complain("cannot set up a run: %s", strerror(-err));
		discard(run);
		return EXIT_WRONG;
	}
	outcome = run_wait(run, control);
	if (outcome != RUN_DONE)
		return give_up(run, control, outcome);
	status = settle(run, control);
	run_deinit(run);
	free(run);
	return status;
}

static void *wait_for_end(void *arg)
{
	int signal;

	sigwait(arg, &signal);
	exit(EXIT_RIGHT);
}

static void end_on_signal(void)
{
	static sigset_t signals;
	pthread_t thread;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	if (pthread_create(&thread, NULL, wait_for_end, &signals) == 0)
		pthread_detach(thread);
}

int stream_server(const struct stream_options *options)
{
	int listen_fd = addr_listen(&options->addr);
	int status = EXIT_RIGHT;

	if (listen_fd < 0) {
		complain("cannot listen: %s", strerror(-listen_fd));
		return EXIT_WRONG;
	}
	end_on_signal();
	printf("listening %u\n", addr_port(listen_fd));
	fflush(stdout);
	for (;;) {
		char first[FIRST_LEN + 1];
		struct run_config config;
		struct control control;
		int fd = next_connection(listen_fd, -1, first);

		if (fd < 0)
			continue;
		if (hello_parse(first, &config) < 0) {
			complain("a connection began with nonsense");
			close(fd);
			continue;
		}
		control_init(&control, fd);
		status = serve_run(listen_fd, options, &control, &config);
		control_deinit(&control);
		if (options->once)
			return status;
	}
}
