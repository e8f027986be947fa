/* SPDX-License-Identifier: MIT */
/*
 * xvmc-shuttle: makes things happen to connections under load, and writes
 * down when. It reads a plan, carries out one line after the other against a
 * running xvmcd (migrations, forced switches), and samples the counters of
 * all processes meanwhile. What to make of the two files it writes is for
 * the script that wrote the plan: tools/demo/demo.sh, tools/demo/soak.sh,
 * tests/apps/run-apps.sh.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <xvmc/agent.h>

#include "base/rundir.h"
#include "base/stats.h"
#include "xvmc/cli.h"
#include "xvmc/client.h"

#define PROG "xvmc-shuttle"
#define MIGRATE_TIMEOUT_MS 10000
#define PRECOPY_MAX 60000u

enum op { OP_MIGRATE, OP_PROMOTE, OP_DEMOTE, OP_COUNT, OP_WAIT, OPS };

static const char *const op_names[OPS] = { "migrate", "promote", "demote", "count", "wait" };

static const char *const how_names[] = {
	[XVMC_MIGRATE_PREPARED] = "prepared",
	[XVMC_MIGRATE_UNPREPARED] = "unprepared",
	[XVMC_MIGRATE_CANCELLED] = "cancelled",
};

/* One line of the plan. */
struct step {
	unsigned int after_ms;
	enum op op;
	struct xvmc_ag_domop move; /* OP_MIGRATE */
};

struct shuttle {
	char dir[XVMC_RUNDIR_MAX];
	FILE *events;
	FILE *samples;
	uint32_t sample_ms;
	int fd;        /* for the steps; the sampler has its own */
	uint64_t end;  /* when to stop, in ms; 0: at the end of the plan */
	pthread_t sampler;
};

static atomic_bool over; /* also set by signals */

static void stop(int sig)
{
	(void)sig;
	over = true;
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

/* Sleeps until then, or until it is over. */
static void sleep_until(double ms)
{
	double left;

	while (!over && (left = ms - now_ms()) > 0) {
		double part = left < 50 ? left : 50;
		struct timespec ts = { .tv_nsec = (long)(part * 1e6) };

		nanosleep(&ts, NULL);
	}
}

static int open_agent(const struct shuttle *s)
{
	int fd = -1;
	int rc = client_open(s->dir, &fd);

	if (rc < 0)
		cli_die(PROG, CLI_EXIT_FAILED, "%s: %s", s->dir, client_strerror(rc));
	return fd;
}

/* ---- samples ---- */

struct sums {
	uint64_t value[XVMC_STATS_MAX];
	bool have_sum;
};

/* The row without a pid is the sum; where there is none, we add up. */
static int add_stats(const union client_msg *msg, void *arg)
{
	struct sums *sums = arg;

	if (msg->stats.pid == 0) {
		memcpy(sums->value, msg->stats.value, sizeof(sums->value));
		sums->have_sum = true;
	} else if (!sums->have_sum) {
		for (unsigned int i = 0; i < XVMC_STATS_MAX; i++)
			sums->value[i] += msg->stats.value[i];
	}
	return 0;
}

static const unsigned int sampled[] = {
	XVMC_S_RING_TX_BYTES, XVMC_S_TCP_TX_BYTES, XVMC_S_RING_RX_BYTES, XVMC_S_TCP_RX_BYTES,
	XVMC_S_TO_RING,       XVMC_S_TO_TCP,       XVMC_S_RINGS,
};
#define SAMPLED (sizeof(sampled) / sizeof(sampled[0]))

static void print_head(FILE *f)
{
	char buf[64];

	fputs("ms", f);
	for (unsigned int i = 0; i < SAMPLED; i++)
		fprintf(f, ",%s", xvmc_stat_key(sampled[i], buf));
	fputc('\n', f);
}

static int sample(const struct shuttle *s, int fd)
{
	struct sums sums = { 0 };
	int rc;

	rc = client_ask(fd, XVMC_AG_STATS, NULL, 0, CLIENT_TIMEOUT_MS, XVMC_AG_STATS_ROW,
			add_stats, &sums);
	if (rc < 0)
		return rc;
	fprintf(s->samples, "%.3f", now_ms());
	for (unsigned int i = 0; i < SAMPLED; i++)
		fprintf(s->samples, ",%" PRIu64, sums.value[sampled[i]]);
	fputc('\n', s->samples);
	return fflush(s->samples) ? -errno : 0;
}

static void *sampler_main(void *arg)
{
	const struct shuttle *s = arg;
	int fd = open_agent(s);
	double next = now_ms();

	for (;;) {
		bool last = over;
		int rc = sample(s, fd);

		if (rc < 0) {
			cli_warn(PROG, "no sample: %s", client_strerror(rc));
			over = true;
			break;
		}
		if (last)
			break;
		next += s->sample_ms;
		sleep_until(next);
	}
	client_close(fd);
	return NULL;
}

/* ---- the plan ---- */

static bool parse_move(const char *words, struct xvmc_ag_domop *ret_move)
{
	struct xvmc_ag_domop move = { 0 };
	char domain[64], host[64], how[16];

	if (sscanf(words, "%63s %63s %15s %" SCNu32, domain, host, how, &move.precopy_ms) != 4 ||
	    !cli_name_ok(domain) || !cli_name_ok(host) || move.precopy_ms > PRECOPY_MAX)
		return false;
	for (move.how = 0; strcmp(how, how_names[move.how]) != 0;)
		if (++move.how == sizeof(how_names) / sizeof(how_names[0]))
			return false;
	strcpy(move.domain, domain);
	strcpy(move.host, host);
	*ret_move = move;
	return true;
}

static bool parse(const char *line, struct step *ret_step)
{
	struct step step = { 0 };
	char word[16];
	int used;

	if (sscanf(line, "%u %15s%n", &step.after_ms, word, &used) != 2)
		return false;
	while (strcmp(word, op_names[step.op]) != 0)
		if (++step.op == OPS)
			return false;
	if (step.op == OP_MIGRATE && !parse_move(line + used, &step.move))
		return false;
	*ret_step = step;
	return true;
}

struct paths {
	unsigned int ring, tcp;
};

/* Both ends of a connection have a row; each sends in one direction. */
static int count_row(const union client_msg *msg, void *arg)
{
	struct paths *paths = arg;

	if (msg->row.tx_path == XVMC_PATH_RING)
		paths->ring++;
	else
		paths->tcp++;
	return 0;
}

static int steer(int fd, enum xvmc_path to)
{
	struct xvmc_ag_steer msg = { .to = to };

	return client_ask(fd, XVMC_AG_STEER, &msg, sizeof(msg), CLIENT_TIMEOUT_MS, 0, NULL, NULL);
}

/* Carries out one step and writes its line:
 * BEGIN_MS,END_MS,STATUS,OP,... */
static int carry_out(const struct shuttle *s, struct step *step)
{
	double begin = now_ms();
	struct paths paths = { 0 };
	int rc = 0;

	switch (step->op) {
	case OP_MIGRATE:
		rc = client_ask(s->fd, XVMC_AG_MIGRATE, &step->move, sizeof(step->move),
				MIGRATE_TIMEOUT_MS, 0, NULL, NULL);
		break;
	case OP_PROMOTE:
		rc = steer(s->fd, XVMC_PATH_RING);
		break;
	case OP_DEMOTE:
		rc = steer(s->fd, XVMC_PATH_TCP);
		break;
	case OP_COUNT:
		rc = client_ask(s->fd, XVMC_AG_LIST, NULL, 0, CLIENT_TIMEOUT_MS, XVMC_AG_ROW,
				count_row, &paths);
		break;
	case OP_WAIT:
	case OPS:
		break;
	}
	fprintf(s->events, "%.3f,%.3f,%d,%s", begin, now_ms(), rc, op_names[step->op]);
	if (step->op == OP_MIGRATE)
		fprintf(s->events, ",%s,%s,%s,%" PRIu32, step->move.domain, step->move.host,
			how_names[step->move.how], step->move.precopy_ms);
	if (step->op == OP_COUNT)
		fprintf(s->events, ",%u,%u", paths.ring, paths.tcp);
	fputc('\n', s->events);
	fflush(s->events);
	return rc;
}

/* The connection to xvmcd is of no more use after these. */
static bool fatal(int rc)
{
	return rc == -ECONNRESET || rc == -EPROTO || rc == -EPIPE || rc == -ETIMEDOUT;
}

static int follow(const struct shuttle *s)
{
	double begun = now_ms();
	char *line = NULL;
	size_t size = 0;
	int status = 0;

	while (!over && getline(&line, &size, stdin) > 0) {
		struct step step;
		int rc;

		if (!parse(line, &step)) {
			line[strcspn(line, "\n")] = 0;
			cli_warn(PROG, "'%s' makes no sense in a plan", line);
			status = CLI_EXIT_USAGE;
			break;
		}
		sleep_until(begun + step.after_ms);
		if (s->end && now_ms() >= (double)s->end)
			break;
		if (over)
			break;
		begun = now_ms();
		rc = carry_out(s, &step);
		if (fatal(rc)) {
			cli_warn(PROG, "%s: %s", op_names[step.op], client_strerror(rc));
			status = CLI_EXIT_FAILED;
			break;
		}
	}
	free(line);
	return status;
}

static FILE *open_file(const char *path)
{
	FILE *f = path ? fopen(path, "we") : stdout;

	if (!f)
		cli_die(PROG, CLI_EXIT_FAILED, "%s: %s", path, strerror(errno));
	return f;
}

static void on_signals(void)
{
	struct sigaction action = { .sa_handler = stop }; /* no SA_RESTART */

	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static void start_sampler(struct shuttle *s)
{
	sigset_t all, before;
	int rc;

	print_head(s->samples);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&s->sampler, NULL, sampler_main, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc)
		cli_die(PROG, CLI_EXIT_FAILED, "no thread: %s", strerror(rc));
}

int main(int argc, char **argv)
{
	struct shuttle s = { .sample_ms = 100 };
	const char *dir = NULL, *events = NULL, *samples = NULL;
	uint32_t seconds = 0;
	const struct cli_opt opts[] = {
		{ "dir", 0, CLI_TEXT, "DIR", "the runtime directory", &dir, 0, 0 },
		{ "events", 0, CLI_TEXT, "FILE", "what was done, and when (standard output)", &events, 0, 0 },
		{ "samples", 0, CLI_TEXT, "FILE", "the counters, again and again (none)", &samples, 0, 0 },
		{ "every-ms", 0, CLI_U32, "N", "how often to sample (100)", &s.sample_ms, 1, 60000 },
		{ "seconds", 0, CLI_U32, "N", "end after so long (with the plan)", &seconds, 1, 1000000 },
		{ 0 },
	};
	const struct cli cli = {
		PROG, "<PLAN",
		"Carries out a plan against a running xvmcd, and samples its counters.\n"
		"A line of the plan: milliseconds after the line before began (or at once, if\n"
		"that took longer), and what to do:\n"
		"  500 migrate DOMAIN HOST prepared|unprepared|cancelled PRECOPY_MS\n"
		"  20 promote     20 demote     all connections\n"
		"  0 count        how many directions go by ring, and how many by TCP\n"
		"  1000 wait      nothing",
		opts, 0, 0, false,
	};
	char *args[argc + 1];
	int rc, status;

	cli_parse(&cli, argc, argv, args);
	rc = client_dir(dir, s.dir);
	if (rc < 0)
		cli_die(PROG, CLI_EXIT_FAILED, "no runtime directory: %s", strerror(-rc));
	if (seconds)
		s.end = (uint64_t)now_ms() + seconds * UINT64_C(1000);
	s.fd = open_agent(&s);
	s.events = open_file(events);
	on_signals();
	if (samples) {
		s.samples = open_file(samples);
		start_sampler(&s);
	}
	status = follow(&s);
	over = true;
	if (samples)
		pthread_join(s.sampler, NULL);
	client_close(s.fd);
	return status;
}
