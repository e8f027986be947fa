/* SPDX-License-Identifier: MIT */
/*
 * xvmc-bench: measures one pattern over one kind of socket, as an ordinary
 * program would do it: blocking calls, TCP_NODELAY, or epoll if asked. It
 * knows nothing of libxvmc; run it with and without to compare.
 */
#include "bench.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"usage: xvmc-bench serve  [address] [--cpu]\n"
	"       xvmc-bench rr     [address] [--bytes N] [--response N] [--epoll]\n"
	"       xvmc-bench stream [address] [--bytes N] [--buffer N]\n"
	"       xvmc-bench crr    [address] [--bytes N] [--response N]\n"
	"       xvmc-bench idle   [address] [--connections K] [--trips N]\n"
	"       xvmc-bench wait   [--connections K] [--trips N]\n"
	"\n"
	"  serve    answers all patterns, a thread for each connection; prints\n"
	"           'listening PORT' when ready and ends on SIGTERM\n"
	"  rr       request and response on one connection\n"
	"  stream   writes in one direction\n"
	"  crr      connect, request, response, close, again\n"
	"  idle     what idle connections cost\n"
	"  wait     an epoll_wait() that finds 10 connections ready beside K idle\n"
	"           ones, and one that finds none; makes its own peer\n"
	"Each client prints one line of JSON.\n"
	"\n"
	"address:\n"
	"  --family tcp4|tcp6|unix   default tcp4\n"
	"  --addr HOST               default the loopback address\n"
	"  --port PORT               serve: 0, the default, takes a free one\n"
	"  --path PATH               the socket of --family unix\n"
	"options:\n"
	"  --bytes N        size of a request or a write (64; stream 64K)\n"
	"  --response N     size of a response (as --bytes)\n"
	"  --buffer N       what the receiver reads into (at least 64K)\n"
	"  --seconds T      how long to measure (2)\n"
	"  --warm T         how long to run before measuring (0.2)\n"
	"  --epoll          rr: non-blocking and epoll at both ends\n"
	"  --connections K  idle, wait: how many (64)\n"
	"  --trips N        idle, wait: round trips on each before it falls idle (200)\n"
	"  --cpu            serve: print the CPU time used when ending\n"
	"  --help\n"
	"exit status: 0, 1 failed, 2 wrong options\n";

enum {
	OPT_FAMILY = 256,
	OPT_ADDR,
	OPT_PORT,
	OPT_PATH,
	OPT_BYTES,
	OPT_RESPONSE,
	OPT_BUFFER,
	OPT_SECONDS,
	OPT_WARM,
	OPT_EPOLL,
	OPT_CONNECTIONS,
	OPT_TRIPS,
	OPT_CPU,
	OPT_HELP,
};

static const struct option long_options[] = {
	{ "family", required_argument, NULL, OPT_FAMILY },
	{ "addr", required_argument, NULL, OPT_ADDR },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "path", required_argument, NULL, OPT_PATH },
	{ "bytes", required_argument, NULL, OPT_BYTES },
	{ "response", required_argument, NULL, OPT_RESPONSE },
	{ "buffer", required_argument, NULL, OPT_BUFFER },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "warm", required_argument, NULL, OPT_WARM },
	{ "epoll", no_argument, NULL, OPT_EPOLL },
	{ "connections", required_argument, NULL, OPT_CONNECTIONS },
	{ "trips", required_argument, NULL, OPT_TRIPS },
	{ "cpu", no_argument, NULL, OPT_CPU },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static const struct command {
	const char *name;
	size_t bytes;
	int (*run)(const struct bench_options *options);
} commands[] = {
	{ "serve", 64, bench_serve },
	{ "rr", 64, bench_rr },
	{ "stream", 64 << 10, bench_stream },
	{ "crr", 64, bench_crr },
	{ "idle", 64, bench_idle },
	{ "wait", 64, bench_wait },
};

static _Noreturn void print_help(void)
{
	fputs(help, stdout);
	exit(EXIT_RIGHT);
}

static void take_option(struct bench_options *o, int option, const char *arg, const char *word)
{
	switch (option) {
	case OPT_FAMILY:
		o->family = arg;
		break;
	case OPT_ADDR:
		o->host = arg;
		break;
	case OPT_PORT:
		o->port = (unsigned)want_u64("port", arg, 0, 65535);
		break;
	case OPT_PATH:
		o->path = arg;
		break;
	case OPT_BYTES:
		o->bytes = want_u64("bytes", arg, 1, MESSAGE_MAX);
		break;
	case OPT_RESPONSE:
		o->response = want_u64("response", arg, 1, MESSAGE_MAX);
		break;
	case OPT_BUFFER:
		o->buffer = want_u64("buffer", arg, 1, MESSAGE_MAX);
		break;
	case OPT_SECONDS:
		o->seconds = want_seconds("seconds", arg);
		break;
	case OPT_WARM:
		o->warm_seconds = want_seconds("warm", arg);
		break;
	case OPT_EPOLL:
		o->epoll = true;
		break;
	case OPT_CONNECTIONS:
		o->connections = (unsigned)want_u64("connections", arg, 0, 100000);
		break;
	case OPT_TRIPS:
		o->warm_trips = (unsigned)want_u64("trips", arg, 0, 1u << 30);
		break;
	case OPT_CPU:
		o->cpu = true;
		break;
	case OPT_HELP:
		print_help();
	default:
		usage_error("'%s' is no option, or lacks its value; see --help", word);
	}
}

static void resolve(struct bench_options *o)
{
	int err;

	if (strcmp(o->family, "unix") == 0) {
		if (!o->path)
			usage_error("--family unix wants --path");
		err = addr_unix(o->path, &o->addr);
	} else if (strcmp(o->family, "tcp4") == 0) {
		err = addr_tcp(AF_INET, o->host ? o->host : "127.0.0.1", o->port, &o->addr);
	} else if (strcmp(o->family, "tcp6") == 0) {
		err = addr_tcp(AF_INET6, o->host ? o->host : "::1", o->port, &o->addr);
	} else {
		usage_error("--family is tcp4, tcp6 or unix, not '%s'", o->family);
	}
	if (err < 0)
		usage_error("no such address: %s", o->path ? o->path : o->host);
}

int main(int argc, char **argv)
{
	struct bench_options options = {
		.family = "tcp4",
		.seconds = 2,
		.warm_seconds = 0.2,
		.connections = 64,
		.warm_trips = 200,
	};
	const struct command *command = NULL;
	int option;

	if (argc > 1 && strcmp(argv[1], "--help") == 0)
		print_help();
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			command = &commands[i];
	if (!command)
		usage_error("wants serve, rr, stream, crr, idle or wait; see --help");
	opterr = 0;
	while ((option = getopt_long(argc - 1, argv + 1, "", long_options, NULL)) != -1)
		take_option(&options, option, optarg, argv[optind]);
	if (argv[1 + optind])
		usage_error("'%s' makes no sense here", argv[1 + optind]);
	if (!options.bytes)
		options.bytes = command->bytes;
	if (!options.response)
		options.response = options.bytes;
	if (!options.buffer)
		options.buffer = options.bytes > 65536 ? options.bytes : 65536;
	resolve(&options);
	signal(SIGPIPE, SIG_IGN);
	raise_fd_limit();
	return command->run(&options);
}
