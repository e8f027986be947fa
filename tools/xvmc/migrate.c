/* SPDX-License-Identifier: MIT */
/*
 * xvmc migrate: a domain of the local backend, by xvmcd; in dom0 a guest, by
 * `xl migrate` with a save helper that has the guests prepare for it
 * (tools/toolstack). Without that helper it is a plain `xl migrate`.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <xvmc/agent.h>

#include "paths.h"
#include "xvmc.h"

/* What a migration may take beyond its pre-copy phase: processes have 60 s
 * to answer on real Xen [X 5]. */
#define MIGRATE_TIMEOUT_MS 90000

struct order {
	struct common c;
	const char *domain, *host;
	const char *ssh; /* toolstack: for xl's -s */
	bool toolstack, command, unprepared, cancelled;
	uint32_t precopy_ms, prepare_ms;
};

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void report(const char *prog, const struct order *o, double ms)
{
	if (o->c.json) {
		cJSON *json = cJSON_CreateObject();

		cJSON_AddTrueToObject(json, "ok");
		cJSON_AddStringToObject(json, "domain", o->domain);
		cJSON_AddStringToObject(json, "host", o->host);
		cJSON_AddBoolToObject(json, "moved", !o->cancelled);
		cJSON_AddNumberToObject(json, "ms", ms);
		json_print(prog, json, false);
	} else if (o->command) {
		printf("%s: migrated, %.1f ms\n", o->domain, ms);
	} else if (o->cancelled) {
		printf("%s: the migration to %s was cancelled, %.1f ms\n", o->domain, o->host, ms);
	} else {
		printf("%s: now on host %s, %.1f ms\n", o->domain, o->host, ms);
	}
}

/* ---- by the toolstack ---- */

static bool is_dom0(void)
{
	char text[64];
	ssize_t n;
	int fd = open("/proc/xen/capabilities", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return strstr(text, "control_d") != NULL;
}

static void set_helper(const char *prog, const struct order *o)
{
	char path[PATH_MAX], ms[16];

	if (paths_save_helper(path) < 0)
		cli_die(prog, CLI_EXIT_FAILED,
			"this build has no save helper (libxen-dev was not there); --unprepared does without");
	snprintf(ms, sizeof(ms), "%u", o->prepare_ms);
	setenv("LIBXL_SAVE_HELPER", path, 1);
	setenv("XVMC_PREPARE_MS", ms, 1);
}

/* What xl says goes to standard error: ours is the result. */
static _Noreturn void run_xl(const char *prog, const struct order *o)
{
	const char *argv[7] = { "xl", "migrate" };
	int n = 2;

	/* For xl an empty one means that what follows is a command. */
	if (o->ssh || o->command) {
		argv[n++] = "-s";
		argv[n++] = o->command ? "" : o->ssh;
	}
	argv[n++] = o->domain;
	argv[n] = o->host;
	dup2(2, 1);
	execvp("xl", (char **)argv);
	cli_warn(prog, "xl: %s", strerror(errno));
	_exit(127);
}

static int by_xl(const char *prog, const struct order *o)
{
	double t0 = now_ms();
	int status;
	pid_t pid;

	if (o->cancelled || o->precopy_ms)
		cli_die(prog, CLI_EXIT_USAGE, "--cancelled and --precopy-ms are the local backend's");
	if (o->ssh && o->command)
		cli_die(prog, CLI_EXIT_USAGE, "--ssh and --command exclude each other");
	if (!o->unprepared)
		set_helper(prog, o);
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		run_xl(prog, o);
	if (pid < 0)
		cli_die(prog, CLI_EXIT_FAILED, "fork: %s", strerror(errno));
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			cli_die(prog, CLI_EXIT_FAILED, "waitpid: %s", strerror(errno));
	if (status != 0)
		cli_die(prog, CLI_EXIT_FAILED, "xl has not migrated %s", o->domain);
	report(prog, o, now_ms() - t0);
	return 0;
}

/* ---- on the local backend ---- */

static int by_xvmcd(const char *prog, const struct order *o)
{
	struct xvmc_ag_domop ask = { .precopy_ms = o->precopy_ms };
	double t0;

	if (o->unprepared && o->cancelled)
		cli_die(prog, CLI_EXIT_USAGE, "--unprepared and --cancelled exclude each other");
	if (o->ssh || o->command)
		cli_die(prog, CLI_EXIT_USAGE, "--ssh and --command are xl's: this is not dom0");
	put_name(prog, ask.domain, o->domain, "domain");
	put_name(prog, ask.host, o->host, "host");
	ask.how = o->unprepared ? XVMC_MIGRATE_UNPREPARED :
		  o->cancelled  ? XVMC_MIGRATE_CANCELLED :
				  XVMC_MIGRATE_PREPARED;
	t0 = now_ms();
	domop(prog, &o->c, XVMC_AG_MIGRATE, &ask, MIGRATE_TIMEOUT_MS + (int)ask.precopy_ms);
	report(prog, o, now_ms() - t0);
	return 0;
}

int cmd_migrate(int argc, char **argv)
{
	struct order o = { .prepare_ms = 5000 };
	const struct cli_opt opts[] = {
		{ "unprepared", 0, CLI_FLAG, NULL, "processes are not told beforehand, as with a plain xl migrate", &o.unprepared, 0, 0 },
		{ "cancelled", 0, CLI_FLAG, NULL, "it fails after the preparation; the domain stays (local backend)", &o.cancelled, 0, 0 },
		{ "precopy-ms", 0, CLI_U32, "N", "how long the pre-copy phase lasts (local backend)", &o.precopy_ms, 0, 600000 },
		{ "toolstack", 0, CLI_FLAG, NULL, "by xl; goes without saying in dom0", &o.toolstack, 0, 0 },
		{ "ssh", 's', CLI_TEXT, "CMD", "xl's option of that name (dom0)", &o.ssh, 0, 0 },
		{ "command", 0, CLI_FLAG, NULL, "HOST is the command line of the receiver (dom0)", &o.command, 0, 0 },
		{ "prepare-ms", 0, CLI_U32, "N", "wait at most so long for the guests to prepare (dom0; 5000)", &o.prepare_ms, 1, 600000 },
		COMMON_OPTS(&o.c),
		{ 0 },
	};
	const struct cli cli = {
		"xvmc migrate", "DOMAIN HOST",
		"Migrates a domain to another host, while its connections run; ends when that is\n"
		"done. In dom0, without --dir or XVMC_DIR, xl does it.",
		opts, 2, 2, false,
	};
	char *args[argc + 1];

	cli_parse(&cli, argc, argv, args);
	o.domain = args[0];
	o.host = args[1];
	if (o.toolstack || (!o.c.dir && !getenv("XVMC_DIR") && is_dom0()))
		return by_xl(cli.prog, &o);
	return by_xvmcd(cli.prog, &o);
}
