/* SPDX-License-Identifier: MIT */
/*
 * The client of the checked stream: opens the control connection and the
 * checked ones, runs, and puts both ends' findings together.
 */
#include "stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_S 30.0

static int failed(const char *what, int err)
{
	complain("%s: %s", what, err == 0 ? "the server has closed" : strerror(-err));
	return EXIT_WRONG;
}

static int expect(struct control *control, const char *word)
{
	const char *line;
	int r = control_line(control, ANSWER_S, &line);

	if (r != 1)
		return r < 0 ? r : -ETIMEDOUT;
	if (strcmp(line, "busy") == 0)
		return -EBUSY;
	return strcmp(line, word) == 0 ? 0 : -EPROTO;
}

static int open_control(const struct stream_options *o, struct control *ret_control)
{
	const struct run_config *c = &o->config;
	int fd = addr_connect(&o->addr);
	int err;

	if (fd < 0)
		return fd;
	err = first_send(fd, "hello xvmc-stream 1 %" PRIx64 " %" PRIu64 " %u %.3f %s %" PRIu64 " %.3f",
			 c->id, c->seed, c->connections, c->seconds, mode_name(c->mode), c->rate,
			 c->stall_s);
	control_init(ret_control, fd);
	return err < 0 ? err : expect(ret_control, "ready");
}

static int open_data(const struct stream_options *o, struct run *run)
{
	for (unsigned i = 0; i < run->config.connections; i++) {
		int fd = addr_connect(&o->addr);
		int err;

		if (fd < 0)
			return fd;
		run->conns[i].fd = fd;
		err = first_send(fd, "data %" PRIx64 " %u", run->config.id, i);
		if (err < 0)
			return err;
	}
	return 0;
}

/* Threads may hang inside a call: no tidying up. */
static _Noreturn void end_stalled(struct run *run, struct control *control,
				  const struct stream_options *o, bool noticed_here)
{
	if (noticed_here)
		complain("stalled: no progress for %.1f s; seed %" PRIu64, run->config.stall_s,
			 run->config.seed);
	else
		complain("the server has stalled; seed %" PRIu64, run->config.seed);
	halt_send(run, control);
	halt_print(run, control);
	report_unfinished(run, o->json, true);
	fflush(NULL);
	_exit(EXIT_STALLED);
}

static int settle(struct run *run, struct control *control, const struct stream_options *o)
{
	unsigned n = run->config.connections;
	uint64_t *sent = must_alloc(n * sizeof(*sent));
	struct side here;
	struct side there;
	int status = EXIT_WRONG;
	int err;

	side_init(&here, n);
	side_init(&there, n);
	err = sent_send(run, control);
	if (err == 0)
		err = sent_receive(sent, n, control);
	if (err == 0)
		err = side_receive(&there, control);
	if (err == -ECANCELED)
		end_stalled(run, control, o, false);
	if (err < 0) {
		failed("the server's account of the run", err);
		report_unfinished(run, o->json, false);
	} else {
		side_collect(&here, run, sent);
		report(run, &here, &there, o->json);
		if (side_right(&here) && side_right(&there))
			status = EXIT_RIGHT;
	}
	side_deinit(&here);
	side_deinit(&there);
	free(sent);
	return status;
}

static void clean_up(struct run *run, struct control *control)
{
	run_deinit(run);
	control_deinit(control);
}

int stream_client(const struct stream_options *o)
{
	static struct run run; /* threads that hang outlive this function */
	struct control control;
	enum outcome outcome;
	int status;
	int err;

	fprintf(stderr, "seed %" PRIu64 "\n", o->config.seed);
	err = open_control(o, &control);
	if (err < 0)
		return failed("cannot start a run", err);
	run_init(&run, &o->config, true);
	run.pauses = o->pauses;
	run.pause_ns = o->pause_ns;
	run.samples = o->samples;
	err = open_data(o, &run);
	if (err == 0)
		err = expect(&control, "go");
	if (err == 0)
		err = run_start(&run);
	if (err < 0)
		return failed("cannot start a run", err);
	outcome = run_wait(&run, &control);
	if (outcome == RUN_CALLED && !control.len) {
		report_unfinished(&run, o->json, false);
		fflush(NULL);
		complain("the server is gone");
		_exit(EXIT_WRONG);
	}
	if (outcome != RUN_DONE)
		end_stalled(&run, &control, o, outcome == RUN_STALLED);
	status = settle(&run, &control, o);
	clean_up(&run, &control);
	return status;
}
