/* SPDX-License-Identifier: MIT */
/*
 * faulty-proxy: a TCP proxy that does one thing wrong, at one place of one
 * direction of one connection. It is there to show that xvmc-stream notices
 * and names what it is supposed to notice: a checker that never fails is
 * not a checker. For tests only.
 */
#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "addr.h"
#include "util.h"

#define BUF (64u << 10)

static const char help[] =
	"usage: faulty-proxy --connect HOST:PORT --fault KIND [options]\n"
	"\n"
	"Listens on a free port of 127.0.0.1 ('listening PORT') and passes every\n"
	"connection on to HOST:PORT, with one fault. Ends on SIGTERM.\n"
	"\n"
	"  --fault KIND       none       nothing\n"
	"                     lose       the bytes are left out\n"
	"                     duplicate  they come twice\n"
	"                     reorder    they come after as many later ones\n"
	"                     corrupt    they are altered\n"
	"                     insert     foreign bytes come before them\n"
	"                     cross      they are put into the next connection,\n"
	"                                instead of its own at the same place\n"
	"                     truncate   the stream ends before them\n"
	"                     stall      it stops before them, and does not end\n"
	"                     reset      the connection is reset before them\n"
	"  --connection N     the how many-th, from 0 (1)\n"
	"  --direction up|down\n"
	"                     up is to HOST:PORT (up)\n"
	"  --at POSITION      where it begins (1000000)\n"
	"  --length BYTES     (1000)\n"
	"  --help\n";

enum fault {
	FAULT_NONE,
	FAULT_LOSE,
	FAULT_DUPLICATE,
	FAULT_REORDER,
	FAULT_CORRUPT,
	FAULT_INSERT,
	FAULT_CROSS,
	FAULT_TRUNCATE,
	FAULT_STALL,
	FAULT_RESET,
	FAULT_COUNT,
};

static const char *const fault_names[FAULT_COUNT] = {
	"none",   "lose",  "duplicate", "reorder", "corrupt",
	"insert", "cross", "truncate",  "stall",   "reset",
};

struct proxy {
	struct addr target;
	enum fault fault;
	unsigned connection;
	bool down;
	uint64_t at;
	uint64_t length;
	/* FAULT_CROSS: what connection N has given for N + 1 */
	pthread_mutex_t lock;
	pthread_cond_t filled;
	uint8_t *taken;
	uint64_t n_taken;
};

/* One direction of one connection. */
struct pump {
	struct proxy *proxy;
	int from;
	int to;
	enum fault fault;
	bool taker; /* FAULT_CROSS: the connection that gets foreign bytes */
	uint64_t pos;
	uint8_t *kept;
	uint64_t n_kept;
	bool over; /* nothing more is passed on */
};

static void pass(struct pump *pump, const uint8_t *p, size_t n)
{
	if (!pump->over && write_full(pump->to, p, n) < 0)
		pump->over = true;
}

static void keep(struct pump *pump, const uint8_t *p, size_t n)
{
	memcpy(pump->kept + pump->n_kept, p, n);
	pump->n_kept += n;
}

static void pass_kept(struct pump *pump)
{
	pass(pump, pump->kept, pump->n_kept);
	pump->n_kept = 0;
}

static void pass_altered(struct pump *pump, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t byte = p[i] ^ 0x55;

		pass(pump, &byte, 1);
	}
}

static void give(struct proxy *proxy, const uint8_t *p, size_t n)
{
	pthread_mutex_lock(&proxy->lock);
	memcpy(proxy->taken + proxy->n_taken, p, n);
	proxy->n_taken += n;
	pthread_cond_broadcast(&proxy->filled);
	pthread_mutex_unlock(&proxy->lock);
}

static void pass_taken(struct pump *pump, size_t n)
{
	struct proxy *proxy = pump->proxy;
	uint64_t from = pump->pos - proxy->at;

	pthread_mutex_lock(&proxy->lock);
	while (proxy->n_taken < from + n)
		pthread_cond_wait(&proxy->filled, &proxy->lock);
	pthread_mutex_unlock(&proxy->lock);
	pass(pump, proxy->taken + from, n);
}

static void pass_nonsense(struct pump *pump)
{
	for (uint64_t i = 0; i < pump->proxy->length; i++) {
		uint8_t byte = (uint8_t)(i * 37 + 11);

		pass(pump, &byte, 1);
	}
}

static void reset(struct pump *pump)
{
	struct linger linger = { .l_onoff = 1 };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* The other pump still has the descriptors: they stay valid, only
	 * the connections behind them go. */
	setsockopt(pump->to, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	setsockopt(pump->from, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	dup2(fd, pump->to);
	dup2(fd, pump->from);
	close(fd);
	pump->over = true;
}

/* The first byte of the place is about to come. */
static void enter(struct pump *pump)
{
	switch (pump->fault) {
	case FAULT_INSERT:
		pass_nonsense(pump);
		break;
	case FAULT_TRUNCATE:
		shutdown(pump->to, SHUT_WR);
		pump->over = true;
		break;
	case FAULT_STALL:
		pump->over = true;
		break;
	case FAULT_RESET:
		reset(pump);
		break;
	default:
		break;
	}
}

static void inside(struct pump *pump, const uint8_t *p, size_t n)
{
	switch (pump->fault) {
	case FAULT_LOSE:
		break;
	case FAULT_DUPLICATE:
		keep(pump, p, n);
		pass(pump, p, n);
		break;
	case FAULT_REORDER:
		keep(pump, p, n);
		break;
	case FAULT_CORRUPT:
		pass_altered(pump, p, n);
		break;
	case FAULT_CROSS:
		if (pump->taker) {
			pass_taken(pump, n);
			break;
		}
		give(pump->proxy, p, n);
		pass(pump, p, n);
		break;
	default:
		pass(pump, p, n);
		break;
	}
}

/* The n bytes that came, place by place. */
static void treat(struct pump *pump, const uint8_t *p, size_t n)
{
	uint64_t at = pump->proxy->at;
	uint64_t length = pump->proxy->length;
	/* Where something changes: before, inside, after, kept bytes due. */
	uint64_t edges[] = { at, at + length, at + 2 * length, UINT64_MAX };

	while (n) {
		unsigned place = 0;
		size_t part;

		while (pump->pos >= edges[place])
			place++;
		if (pump->fault == FAULT_NONE)
			place = 3;
		if (place == 1 && pump->pos == at)
			enter(pump);
		if ((place == 2 && pump->fault == FAULT_DUPLICATE) || place == 3)
			pass_kept(pump);
		part = edges[place] - pump->pos < n ? (size_t)(edges[place] - pump->pos) : n;
		if (place == 1)
			inside(pump, p, part);
		else
			pass(pump, p, part);
		pump->pos += part;
		p += part;
		n -= part;
	}
}

static void *run_pump(void *arg)
{
	struct pump *pump = arg;
	uint8_t *buf = must_alloc(BUF);
	ssize_t n;

	while ((n = read(pump->from, buf, BUF)) > 0)
		treat(pump, buf, (size_t)n);
	if (!pump->over) {
		pass_kept(pump);
		shutdown(pump->to, SHUT_WR);
	}
	free(buf);
	return NULL;
}

static void start_pump(struct proxy *proxy, unsigned connection, bool down, int from, int to)
{
	struct pump *pump = must_alloc(sizeof(*pump));
	pthread_t thread;

	pump->proxy = proxy;
	pump->from = from;
	pump->to = to;
	pump->kept = must_alloc(proxy->length);
	pump->taker = proxy->fault == FAULT_CROSS && connection == proxy->connection + 1;
	if (down == proxy->down && (connection == proxy->connection || pump->taker))
		pump->fault = proxy->fault;
	if (pthread_create(&thread, NULL, run_pump, pump)) {
		complain("cannot start a thread");
		exit(EXIT_WRONG);
	}
	pthread_detach(thread);
}

static void *serve(void *arg)
{
	struct proxy *proxy = arg;
	struct addr here;
	int listen_fd = -1;

	if (addr_tcp(AF_INET, "127.0.0.1", 0, &here) == 0)
		listen_fd = addr_listen(&here);
	if (listen_fd < 0) {
		complain("cannot listen");
		exit(EXIT_WRONG);
	}
	printf("listening %u\n", addr_port(listen_fd));
	fflush(stdout);
	for (unsigned i = 0;; i++) {
		int down = accept(listen_fd, NULL, NULL);
		int up = addr_connect(&proxy->target);

		if (down < 0 || up < 0) {
			complain("cannot pass a connection on");
			exit(EXIT_WRONG);
		}
		addr_nodelay(down);
		start_pump(proxy, i, false, down, up);
		start_pump(proxy, i, true, up, down);
	}
}

static enum fault fault_parse(const char *name)
{
	for (enum fault fault = FAULT_NONE; fault < FAULT_COUNT; fault++)
		if (strcmp(name, fault_names[fault]) == 0)
			return fault;
	usage_error("--fault: no such kind: '%s'", name);
}

static void take_options(struct proxy *proxy, int argc, char **argv)
{
	static const struct option options[] = {
		{ "connect", required_argument, NULL, 'c' },
		{ "fault", required_argument, NULL, 'f' },
		{ "connection", required_argument, NULL, 'n' },
		{ "direction", required_argument, NULL, 'd' },
		{ "at", required_argument, NULL, 'a' },
		{ "length", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	bool connect = false;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			if (addr_parse(optarg, &proxy->target) < 0)
				usage_error("no such address: %s", optarg);
			connect = true;
			break;
		case 'f':
			proxy->fault = fault_parse(optarg);
			break;
		case 'n':
			proxy->connection = (unsigned)want_u64("connection", optarg, 0, 10000);
			break;
		case 'd':
			proxy->down = strcmp(optarg, "down") == 0;
			if (!proxy->down && strcmp(optarg, "up") != 0)
				usage_error("--direction is up or down, not '%s'", optarg);
			break;
		case 'a':
			proxy->at = want_u64("at", optarg, 0, UINT64_MAX / 4);
			break;
		case 'l':
			proxy->length = want_u64("length", optarg, 1, 64u << 20);
			break;
		case 'h':
			fputs(help, stdout);
			exit(EXIT_RIGHT);
		default:
			usage_error("'%s' is no option, or lacks its value; see --help",
				    argv[optind - 1]);
		}
	}
	if (!connect || argv[optind])
		usage_error("wants --connect HOST:PORT and options; see --help");
}

int main(int argc, char **argv)
{
	/* Static: its threads may outlive main. */
	static struct proxy proxy = {
		.connection = 1,
		.at = 1000000,
		.length = 1000,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.filled = PTHREAD_COND_INITIALIZER,
	};
	sigset_t signals;
	pthread_t thread;
	int signal_number;

	take_options(&proxy, argc, argv);
	proxy.taken = must_alloc(proxy.length);
	signal(SIGPIPE, SIG_IGN);
	raise_fd_limit();
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	if (pthread_create(&thread, NULL, serve, &proxy))
		return EXIT_WRONG;
	sigwait(&signals, &signal_number);
	return EXIT_RIGHT;
}
