/* SPDX-License-Identifier: MIT */
/*
 * xvmc-stream: the checked stream. Many connections, both directions at full
 * load, every byte a function of its position and verified, all the ways a
 * program may wait and call. An ordinary program: it knows nothing of
 * libxvmc and finds nothing wrong with it or without it.
 */
#include "stream.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static const char help[] =
	"usage: xvmc-stream serve [--addr HOST] [--port PORT] [--once]\n"
	"       xvmc-stream run --connect HOST:PORT [options]\n"
	"\n"
	"  serve  answers runs, one after the other; prints 'listening PORT' when\n"
	"         ready and ends on SIGTERM, or after one run with --once\n"
	"  run    does one run and reports\n"
	"\n"
	"  --connect HOST:PORT   [::1]:PORT and unix:PATH will do too\n"
	"  --addr HOST           default 127.0.0.1; unix:PATH will do too\n"
	"  --port PORT           0, the default, takes a free one\n"
	"  --connections N       1 to 1024 (8)\n"
	"  --seconds T           how long to send (5)\n"
	"  --seed S              content, sizes (random); always printed\n"
	"  --mode stream|rr|mixed\n"
	"                        rr: request and response by turns; mixed: some\n"
	"                        connections this way, some that\n"
	"  --rate BYTES          per second, all connections and directions\n"
	"  --stall T             seconds without progress on a connection (10)\n"
	"  --samples FILE        every 100 ms: 't_ms,bytes', CLOCK_MONOTONIC and the\n"
	"                        bytes read or written since the line before\n"
	"  --pauses FILE         for each gap over 1 ms between two reads of a\n"
	"                        connection: 't_ms,gap_ms,connection,direction', t_ms\n"
	"                        at its end; serve has its own\n"
	"  --pause-ms N          not 1 ms, but N (1 to 10000)\n"
	"  --json                one JSON object instead of a table\n"
	"  --help\n"
	"run, on SIGUSR1: sends no more, as if its seconds were over, and reports\n"
	"exit status: 0 all right, 1 bytes wrong or failed, 2 wrong options, 3 stalled\n";

enum {
	OPT_CONNECT = 256,
	OPT_ADDR,
	OPT_PORT,
	OPT_ONCE,
	OPT_CONNECTIONS,
	OPT_SECONDS,
	OPT_SEED,
	OPT_MODE,
	OPT_RATE,
	OPT_STALL,
	OPT_SAMPLES,
	OPT_PAUSES,
	OPT_PAUSE_MS,
	OPT_JSON,
	OPT_HELP,
};

static const struct option long_options[] = {
	{ "connect", required_argument, NULL, OPT_CONNECT },
	{ "addr", required_argument, NULL, OPT_ADDR },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "once", no_argument, NULL, OPT_ONCE },
	{ "connections", required_argument, NULL, OPT_CONNECTIONS },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "mode", required_argument, NULL, OPT_MODE },
	{ "rate", required_argument, NULL, OPT_RATE },
	{ "stall", required_argument, NULL, OPT_STALL },
	{ "samples", required_argument, NULL, OPT_SAMPLES },
	{ "pauses", required_argument, NULL, OPT_PAUSES },
	{ "pause-ms", required_argument, NULL, OPT_PAUSE_MS },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static const char *const mode_names[] = {
	[MODE_STREAM] = "stream",
	[MODE_RR] = "rr",
	[MODE_MIXED] = "mixed",
};

const char *mode_name(enum mode mode)
{
	return mode_names[mode];
}

int mode_parse(const char *name, enum mode *ret_mode)
{
	for (enum mode mode = MODE_STREAM; mode <= MODE_MIXED; mode++)
		if (strcmp(name, mode_names[mode]) == 0) {
			*ret_mode = mode;
			return 0;
		}
	return -EINVAL;
}

static uint64_t random_number(void)
{
	uint64_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		number = now_ns();
	return number;
}

static FILE *open_log(const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		usage_error("cannot write %s: %s", path, strerror(errno));
	return file;
}

static _Noreturn void print_help(void)
{
	fputs(help, stdout);
	exit(EXIT_RIGHT);
}

struct words {
	const char *connect;
	const char *host;
	unsigned port;
};

static void take_option(struct stream_options *o, struct words *words, int option, const char *arg,
			const char *word)
{
	switch (option) {
	case OPT_CONNECT:
		words->connect = arg;
		break;
	case OPT_ADDR:
		words->host = arg;
		break;
	case OPT_PORT:
		words->port = (unsigned)want_u64("port", arg, 0, 65535);
		break;
	case OPT_ONCE:
		o->once = true;
		break;
	case OPT_CONNECTIONS:
		o->config.connections = (unsigned)want_u64("connections", arg, 1, CONNECTIONS_MAX);
		break;
	case OPT_SECONDS:
		o->config.seconds = want_seconds("seconds", arg);
		break;
	case OPT_SEED:
		o->config.seed = want_u64("seed", arg, 0, UINT64_MAX);
		break;
	case OPT_MODE:
		if (mode_parse(arg, &o->config.mode) < 0)
			usage_error("--mode is stream, rr or mixed, not '%s'", arg);
		break;
	case OPT_RATE:
		o->config.rate = want_u64("rate", arg, 1000, UINT64_MAX);
		break;
	case OPT_STALL:
		o->config.stall_s = want_seconds("stall", arg);
		break;
	case OPT_SAMPLES:
		o->samples = open_log(arg);
		break;
	case OPT_PAUSES:
		o->pauses = open_log(arg);
		break;
	case OPT_PAUSE_MS:
		o->pause_ns = want_u64("pause-ms", arg, 1, 10000) * 1000000u;
		break;
	case OPT_JSON:
		o->json = true;
		break;
	case OPT_HELP:
		print_help();
	default:
		usage_error("'%s' is no option, or lacks its value; see --help", word);
	}
}

static void resolve(struct stream_options *o, const struct words *words, bool serve)
{
	const char *host = words->host ? words->host : "127.0.0.1";
	int err;

	if (!serve && !words->connect)
		usage_error("run wants --connect HOST:PORT");
	if (!serve)
		err = addr_parse(words->connect, &o->addr);
	else if (strncmp(host, "unix:", 5) == 0)
		err = addr_parse(host, &o->addr);
	else
		err = addr_tcp(AF_UNSPEC, host, words->port, &o->addr);
	if (err < 0)
		usage_error("no such address: %s", serve ? host : words->connect);
}

/* Before there are threads: run_wait() takes it. */
static void block_enough(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int main(int argc, char **argv)
{
	struct stream_options options = {
		.config = { .connections = 8, .seconds = 5, .stall_s = 10 },
		.pause_ns = 1000000u,
	};
	struct words words = { 0 };
	bool serve;
	int option;

	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		print_help();
	serve = argc > 1 && strcmp(argv[1], "serve") == 0;
	if (!serve && (argc < 2 || strcmp(argv[1], "run") != 0))
		usage_error("wants serve or run; see --help");
	options.config.id = random_number();
	options.config.seed = random_number() >> 16; /* shorter to type */
	opterr = 0;
	while ((option = getopt_long(argc - 1, argv + 1, "", long_options, NULL)) != -1)
		take_option(&options, &words, option, optarg, argv[optind]);
	if (argv[1 + optind])
		usage_error("'%s' makes no sense here", argv[1 + optind]);
	resolve(&options, &words, serve);
	signal(SIGPIPE, SIG_IGN);
	block_enough();
	raise_fd_limit();
	return serve ? stream_server(&options) : stream_client(&options);
}
