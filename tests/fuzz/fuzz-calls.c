/* SPDX-License-Identifier: MIT */
/*
 * fuzz-calls: from a seed, so many calls on sockets and other descriptors, good
 * ones and nonsense, in one process that holds both ends of its connections.
 * Each is printed with what it gave. fuzz-calls.sh runs the same seed on plain
 * TCP and accelerated and compares; README.md says how, and what a difference
 * is. Each call draws from numbers of its own, so that the others stay what
 * they are when some are left out.
 */
#include <getopt.h>

#include "calls.h"

#define DEFAULT_CALLS 150

static const struct action *const groups[] = { bytes_actions, ways_actions, wait_actions,
					       life_actions, child_actions, rare_actions };
#define GROUPS (sizeof(groups) / sizeof(groups[0]))

static void (*some_action(void))(void)
{
	const struct action *a;
	int sum = 0, at;

	for (size_t g = 0; g < GROUPS; g++)
		for (a = groups[g]; a->act; a++)
			sum += a->weight;
	at = (int)below((uint32_t)sum);
	for (size_t g = 0; g < GROUPS; g++)
		for (a = groups[g]; a->act; a++)
			if ((at -= a->weight) < 0)
				return a->act;
	return NULL;
}

/* "3,5-9,": which calls to make. */
static void only(const char *list, bool *take)
{
	memset(take, 0, CALLS);
	while (*list) {
		char *end;
		long from = strtol(list, &end, 10), to = from;

		if (end == list)
			conf_die("bad list");
		if (*end == '-')
			to = strtol(end + 1, &end, 10);
		for (long i = from; i >= 0 && i <= to && i < CALLS; i++)
			take[i] = true;
		list = *end == ',' ? end + 1 : end;
	}
}

static void too_long(int sig)
{
	static const char text[] = "a call does not return\n";

	(void)sig;
	if (write(2, text, sizeof(text) - 1) < 0)
		_exit(97);
	_exit(98);
}

int main(int argc, char **argv)
{
	static bool take[CALLS];
	int calls = DEFAULT_CALLS, c;

	memset(take, true, sizeof(take));
	while ((c = getopt(argc, argv, "s:n:o:")) != -1) {
		switch (c) {
		case 's':
			w.seed = strtoull(optarg, NULL, 10);
			break;
		case 'n':
			calls = atoi(optarg);
			break;
		case 'o':
			only(optarg, take);
			break;
		default:
			fprintf(stderr, "usage: fuzz-calls -s SEED [-n CALLS] [-o CALL-LIST]\n");
			return 2;
		}
	}
	if (calls < 1 || calls > CALLS) {
		fprintf(stderr, "fuzz-calls: 1 to %d calls\n", CALLS);
		return 2;
	}
	signal(SIGALRM, too_long);
	alarm(20);
	w.switches = getenv("CONF_SWITCH") != NULL;
	w.rings = w.switches || getenv("CONF_RING");
	w.state = mix(w.seed);
	w.at = -1;
	world_begin();
	for (w.at = 0; w.at < calls; w.at++) {
		if (!take[w.at])
			continue;
		steer();
		w.state = mix(w.seed ^ mix((uint64_t)w.at + 1));
		some_action()();
	}
	fprintf(stderr, "steered %lu\n", w.steered);
	return 0;
}
