/* SPDX-License-Identifier: MIT */
/*
 * sim: thousands of runs of the simulation, each from its seed. README.md says
 * what is simulated and what a run is asked.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define DEFAULT_SEED 20240000u
#define DEFAULT_RUNS 10000u

static struct sim sim;

static const char *const covers[] = {
#define SIM_COVER(name, text) text,
#include "cover.def"
#undef SIM_COVER
};

static const char usage[] =
	"usage: sim [--seed N [--fail-at K]] [--runs N] [--trace]\n"
	"  --seed N     replay the run with this seed\n"
	"  --fail-at K  let its allocation number K fail\n"
	"  --runs N     so many runs, from the seed on ($SIM_SEED, or a fixed one)\n"
	"  --trace      print every event\n";

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n = strtoull(text, &end, 10);

	if (!*text || *end || *text == '-') {
		fprintf(stderr, "sim: not a number: %s\n", text);
		exit(2);
	}
	return n;
}

/* In some runs each allocation fails in turn, until there are no more. */
static uint64_t run_one(uint64_t seed)
{
	uint64_t runs = 1;

	sim_run(&sim, seed, 0);
	if (seed % 64 != 1)
		return runs;
	for (uint64_t k = 1; k < 200; k++, runs++) {
		sim_run(&sim, seed, k);
		if (!sim.hv.failed)
			break;
	}
	return runs;
}

static int report(bool whole)
{
	int missing = 0;

	for (size_t i = 0; i < SIM_C_COUNT; i++) {
		printf("# %12" PRIu64 "  %s\n", sim.cover[i], covers[i]);
		if (sim.cover[i] || !whole)
			continue;
		printf("sim: never happened: %s\n", covers[i]);
		missing++;
	}
	return missing;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "runs", required_argument, NULL, 'r' },
		{ "fail-at", required_argument, NULL, 'f' },
		{ "trace", no_argument, NULL, 't' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *env = getenv("SIM_SEED");
	uint64_t seed = env && *env ? number(env) : DEFAULT_SEED;
	uint64_t runs = 0, fail_at = 0, done = 0;
	bool one = false;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			seed = number(optarg);
			one = true;
			break;
		case 'r':
			runs = number(optarg);
			break;
		case 'f':
			fail_at = number(optarg);
			break;
		case 't':
			sim.tracing = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (sim_hv_open(&sim.hv) < 0 || sim_inject_open(&sim) < 0) {
		fprintf(stderr, "sim: no memory\n");
		return 77;
	}
	sim_os_set(&sim);
	if (one && !runs) {
		sim_run(&sim, seed, fail_at);
		return report(false) != 0;
	}
	printf("sim: %" PRIu64 " runs from seed %" PRIu64 "\n",
	       runs ? runs : DEFAULT_RUNS, seed);
	fflush(stdout);
	for (uint64_t i = 0; i < (runs ? runs : DEFAULT_RUNS); i++)
		done += run_one(seed + i);
	printf("sim: %" PRIu64 " runs, nothing lost or doubled\n", done);
	return report(!runs || runs >= DEFAULT_RUNS) != 0;
}
