/* SPDX-License-Identifier: MIT */
/*
 * xvmc-run: starts a program with libxvmc.so preloaded, and sees to it that
 * this can work: an xvmcd that answers, a domain, a program that loads the
 * library. What it cannot mend it says in one line; for want of xvmcd the
 * program runs plainly.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/options.h"
#include "base/rules.h"
#include "base/rundir.h"
#include "daemon.h"
#include "stats.h"
#include "stay.h"
#include "target.h"
#include "trap.h"
#include "xvmc/cli.h"
#include "xvmc/client.h"
#include "xvmc/paths.h"
#include "xvmc/standard.h"

#define PROG "xvmc-run"
#define UNSET UINT32_MAX

struct run {
	const char *domain, *host, *dir, *log, *trap;
	uint32_t spin_us, order;
	bool no_spin, stats, verbose, anyway, require;
	bool mute; /* without a standard error */
	struct cli_list rules;
	char library[PATH_MAX];
	char full_dir[PATH_MAX];
	struct stats counters; /* --stats */
	char **args; /* the program and its arguments */
};

static void parse(int argc, char **argv, struct run *run)
{
	const struct cli_opt opts[] = {
		{ "domain", 'd', CLI_NAME, "D", "the domain it belongs to (default: $XVMC_DOMAIN or local)", &run->domain, 0, 0 },
		{ "host", 0, CLI_NAME, "H", "make the domain on this host where it is missing", &run->host, 0, 0 },
		{ "dir", 0, CLI_TEXT, "DIR", "the runtime directory of xvmcd", &run->dir, 0, 0 },
		{ "no-spin", 0, CLI_FLAG, NULL, "sleep at once when there is nothing to do", &run->no_spin, 0, 0 },
		{ "spin-us", 0, CLI_U32, "N", "spin at most N microseconds before sleeping", &run->spin_us, 0, 10000 },
		{ "order", 0, CLI_U32, "N", "rings of 4 KiB << N", &run->order, XVMC_RING_ORDER_MIN, XVMC_RING_ORDER_MAX },
		{ "rule", 'r', CLI_LIST, "R", "\"ring\" or \"tcp\" and which connections; may be repeated", &run->rules, 0, 0 },
		{ "log", 0, CLI_TEXT, "FILE", "append the library's diagnostics to FILE", &run->log, 0, 0 },
		{ "stats", 0, CLI_FLAG, NULL, "say at its end what went by ring, and why the rest did not", &run->stats, 0, 0 },
		{ "trap", 0, CLI_MAYBE, "FILE", "say which system calls pass the library by, to FILE or standard error", &run->trap, 0, 0 },
		{ "anyway", 0, CLI_FLAG, NULL, "run a program the library cannot be loaded into, plainly", &run->anyway, 0, 0 },
		{ "require", 0, CLI_FLAG, NULL, "no xvmcd: end with 124 instead of running it plainly", &run->require, 0, 0 },
		{ "verbose", 'v', CLI_FLAG, NULL, "say what is used", &run->verbose, 0, 0 },
		{ 0 },
	};
	const struct cli cli = {
		PROG, "[--] PROGRAM [ARGUMENT...]",
		"Runs a program whose TCP connections to other programs under xvmc on the same\n"
		"host travel through shared memory. Exit status: the program's, or 1 no --trap or\n"
		"--stats here, 2 wrong options, 124 no xvmcd (with --require), 125 the library\n"
		"cannot be loaded into it, 126 not executable, 127 not found.",
		opts, 1, -1, true,
	};

	run->spin_us = run->order = UNSET;
	run->args = calloc((size_t)argc + 1, sizeof(*run->args));
	if (!run->args)
		cli_die(PROG, CLI_EXIT_FAILED, "out of memory");
	cli_parse(&cli, argc, argv, run->args);
	if (run->no_spin && run->spin_us != UNSET)
		cli_die(PROG, CLI_EXIT_USAGE,
			"--no-spin and --spin-us exclude each other");
	if (run->no_spin)
		run->spin_us = 0;
	if (!run->domain)
		run->domain = getenv("XVMC_DOMAIN");
	if (!run->domain || !*run->domain)
		run->domain = "local";
	if (!cli_name_ok(run->domain))
		cli_die(PROG, CLI_EXIT_USAGE, "XVMC_DOMAIN is no domain's name: %s",
			run->domain);
}

_Noreturn static void not_started(const struct run *run, int why)
{
	cli_die(PROG, why == ENOENT ? RUN_EXIT_NOT_FOUND : RUN_EXIT_NOT_EXECUTABLE,
		"%s: %s", run->args[0], strerror(why));
}

_Noreturn static void start(const struct run *run)
{
	execvp(run->args[0], run->args);
	not_started(run, errno);
}

/* Where --trap has its say. */
static int trap_open(const char *path, bool mute)
{
	int fd = *path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666) :
			 fcntl(mute ? -1 : 2, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		cli_die(PROG, CLI_EXIT_FAILED, "--trap: %s: %s",
			*path ? path : "standard error", strerror(errno));
	return fd;
}

/* With options that outlast the program's start. */
_Noreturn static void start_and_stay(struct run *run)
{
	int out = run->trap ? trap_open(run->trap, run->mute) : -1, status;
	struct trap trap;
	struct stay stay;

	if (stay_start(run->args, run->trap ? trap_filter() : NULL, &stay) < 0) {
		if (stay.refused)
			cli_die(PROG, CLI_EXIT_FAILED, "--trap: the kernel takes no such filter here: %s",
				stay.refused == EBUSY ? "another one is in charge" :
							strerror(stay.refused));
		not_started(run, stay.failed ? stay.failed : EAGAIN);
	}
	if (run->trap && trap_watch(stay.listener, out, run->full_dir, &trap) < 0) {
		kill(stay.pid, SIGKILL); /* its first call would wait for ever */
		cli_die(PROG, CLI_EXIT_FAILED, "--trap: no process can be made");
	}
	status = stay_wait(&stay, run->stats ? run->counters.fd : -1, stats_take,
			   &run->counters);
	if (run->trap)
		trap_end(&trap);
	if (run->stats)
		stats_close(&run->counters, run->args[0]);
	stay_end(status);
}

/* xvmc does not work here: the program runs without it, or not at all. */
_Noreturn static void without(const struct run *run, const char *why)
{
	if (run->require)
		cli_die(PROG, RUN_EXIT_NO_XVMCD, "%s", why);
	cli_warn(PROG, "%s; %s runs without acceleration", why, run->args[0]);
	start(run);
}

static void check_target(struct run *run)
{
	char why[PATH_MAX + 128];
	int rc;

	rc = target_check(run->args[0], *run->library ? run->library : NULL, why,
			  sizeof(why));
	if (rc == RUN_EXIT_NOT_LOADED && run->anyway) {
		cli_warn(PROG, "%s; it runs without acceleration", why);
		start(run);
	}
	if (rc == RUN_EXIT_NOT_LOADED)
		cli_die(PROG, rc, "%s (--anyway runs it plainly)", why);
	if (rc)
		cli_die(PROG, rc, "%s", why);
}

/* ld.so splits LD_PRELOAD at spaces and colons and knows no quotes. */
static bool loader_reads(const char *path)
{
	return !strpbrk(path, " :;\t\n");
}

/* A link to the library in the runtime directory, which lasts: by a name that
 * follows from the library's own. */
static bool make_link(const char *library, const char *dir, char *ret_link)
{
	char fresh[PATH_MAX];
	uint32_t hash = 2166136261u;
	bool made;

	for (const char *p = library; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	if (snprintf(fresh, PATH_MAX, "%s/.lib-%d", dir, (int)getpid()) >= PATH_MAX ||
	    snprintf(ret_link, PATH_MAX, "%s/libxvmc-%08x.so", dir, hash) >= PATH_MAX)
		return false;
	unlink(fresh); /* of one with our number that was killed */
	made = symlink(library, fresh) == 0 && rename(fresh, ret_link) == 0;
	return made && loader_reads(ret_link);
}

static void reach_library(struct run *run)
{
	char link[PATH_MAX];

	if (loader_reads(run->library))
		return;
	if (!make_link(run->library, run->full_dir, link))
		without(run, "libxvmc.so cannot be preloaded from a directory with a space or colon in its name, nor by a link in the runtime directory");
	memcpy(run->library, link, sizeof(link));
}

static void check_library(const struct run *run)
{
	if (!*run->library)
		without(run, "libxvmc.so is neither in the build directory nor installed");
}

static void find_dir(struct run *run)
{
	char dir[XVMC_RUNDIR_MAX];
	int rc = client_dir(run->dir, dir);

	if (rc == 0)
		rc = paths_absolute(dir, run->full_dir);
	if (rc == 0 && strlen(run->full_dir) >= XVMC_RUNDIR_MAX)
		rc = -ENAMETOOLONG;
	if (rc == -EPERM)
		without(run, "the runtime directory in /tmp is another user's: set XVMC_DIR");
	if (rc == -ENAMETOOLONG)
		without(run, "the runtime directory's name is too long");
	if (rc < 0)
		without(run, strerror(-rc));
}

static void find_xvmcd(const struct run *run)
{
	char why[512];

	if (daemon_ensure(run->full_dir, why, sizeof(why)) < 0 ||
	    daemon_enter(run->full_dir, run->domain, run->host, why,
			 sizeof(why)) < 0)
		without(run, why);
	if (*why)
		cli_warn(PROG, "%s", why);
}

/* Does this build's library read the variable? An option that changes
 * nothing must not look as if it did. */
static bool is_known(const char *var)
{
	struct xvmc_options opt;
	char buf[XVMC_OPT_STR_MAX];
	const char *name, *text;

	xvmc_options_load(&opt);
	for (unsigned int i = 0; (name = xvmc_options_show(&opt, i, buf, &text)); i++)
		if (!strcmp(name, var))
			return true;
	return false;
}

static void set(const char *option, const char *var, const char *val)
{
	if (option && !is_known(var))
		cli_die(PROG, CLI_EXIT_USAGE, "%s: this build of libxvmc.so has no %s",
			option, var);
	if (strlen(val) >= XVMC_OPT_STR_MAX)
		cli_die(PROG, CLI_EXIT_USAGE, "%s: longer than %u characters: %s",
			option ? option : var, XVMC_OPT_STR_MAX - 1, val);
	if (setenv(var, val, 1) != 0)
		cli_die(PROG, CLI_EXIT_FAILED, "out of memory");
}

static void set_number(const char *option, const char *var, uint32_t n)
{
	char text[16];

	if (n == UNSET)
		return;
	snprintf(text, sizeof(text), "%u", n);
	set(option, var, text);
}

static void set_rules(const struct cli_list *rules)
{
	char all[XVMC_OPT_STR_MAX + 1] = "";
	struct xvmc_rules parsed;
	size_t at = 0;

	for (size_t i = 0; i < rules->n; i++)
		if (strchr(rules->item[i], ';') ||
		    xvmc_rules_parse(rules->item[i], &parsed, NULL) < 0 || !parsed.n)
			cli_die(PROG, CLI_EXIT_USAGE, "--rule: '%s' is no rule: \"ring\" or \"tcp\", then ADDRESS[/BITS], :PORT[-PORT], or both",
				rules->item[i]);
	for (size_t i = 0; i < rules->n && at < sizeof(all); i++)
		at += (size_t)snprintf(all + at, sizeof(all) - at, "%s%s",
				       i ? ";" : "", rules->item[i]);
	if (rules->n)
		set("--rule", "XVMC_RULES", all);
}

/* Everything that can be wrong with the options, before anything starts. */
static void set_options(const struct run *run)
{
	char path[PATH_MAX];

	set_number("--spin-us", "XVMC_SPIN_US", run->spin_us);
	set_number("--order", "XVMC_RING_ORDER", run->order);
	set_rules(&run->rules);
	if (run->trap)
		set("--trap", "XVMC_TRAP", "1");
	if (run->log) {
		if (paths_absolute(run->log, path) < 0)
			cli_die(PROG, CLI_EXIT_USAGE, "--log: too long: %s", run->log);
		set("--log", "XVMC_LOG", path);
	}
}

static void open_stats(struct run *run)
{
	int rc = stats_open(run->full_dir, &run->counters);

	if (rc < 0)
		cli_die(PROG, CLI_EXIT_FAILED, "--stats: %s: %s", run->full_dir,
			strerror(-rc));
	set("--stats", "XVMC_STATS", run->counters.path);
}

static void set_preload(const char *library)
{
	const char *old = getenv("LD_PRELOAD");
	size_t n = strlen(library), i = 0;
	char *all = NULL;

	/* Already there, as in xvmc-run xvmc-run program? */
	while (old && old[i]) {
		size_t len = strcspn(old + i, " :");

		if (len == n && !memcmp(old + i, library, n))
			return;
		i += len + (old[i + len] != 0);
	}
	if (asprintf(&all, "%s%s%s", library, old && *old ? ":" : "",
		     old ? old : "") < 0 ||
	    setenv("LD_PRELOAD", all, 1) != 0)
		cli_die(PROG, CLI_EXIT_FAILED, "out of memory");
	free(all);
}

int main(int argc, char **argv)
{
	static struct run run;

	run.mute = fcntl(STDERR_FILENO, F_GETFD) < 0;
	standard_hold();
	parse(argc, argv, &run);
	set_options(&run);
	if (paths_library(run.library) < 0)
		run.library[0] = 0;
	check_target(&run);
	check_library(&run);
	find_dir(&run);
	find_xvmcd(&run);
	reach_library(&run);
	set(NULL, "XVMC_DIR", run.full_dir);
	set(NULL, "XVMC_DOMAIN", run.domain);
	set_preload(run.library);
	if (run.verbose)
		cli_warn(PROG, "%s under %s, domain %s, xvmcd in %s",
			 run.args[0], run.library, run.domain, run.full_dir);
	if (run.stats)
		open_stats(&run);
	if (run.trap || run.stats)
		start_and_stay(&run);
	start(&run);
}
