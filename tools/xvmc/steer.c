/* SPDX-License-Identifier: MIT */
/*
 * The sub-commands that change something: promote, demote, migrate, create,
 * destroy, shutdown.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <xvmc/agent.h>

#include "xvmc.h"

/* What a migration may take beyond its pre-copy phase: processes have 60 s
 * to answer on real Xen [X 5]. */
#define MIGRATE_TIMEOUT_MS 90000

static void print_ok(const char *prog, const struct common *c)
{
	if (c->json) {
		cJSON *o = cJSON_CreateObject();

		cJSON_AddTrueToObject(o, "ok");
		json_print(prog, o, false);
	}
}

static int steer(const char *prog, const char *text, uint32_t to, int argc,
		 char **argv)
{
	struct common c = { 0 };
	struct xvmc_ag_steer ask = { .to = to };
	const struct cli_opt opts[] = {
		{ "pid", 'p', CLI_U32, "PID", "only this process's connections", &ask.pid, 1, INT32_MAX },
		{ "id", 'i', CLI_U32, "ID", "only this one (needs --pid)", &ask.epid, 1, UINT32_MAX },
		COMMON_OPTS(&c),
		{ 0 },
	};
	const struct cli cli = { prog, "", text, opts, 0, 0, false };
	char *args[argc + 1];
	int fd, rc;

	cli_parse(&cli, argc, argv, args);
	if (ask.epid && !ask.pid)
		cli_die(prog, CLI_EXIT_USAGE,
			"--id needs --pid: each process has its own numbers (see xvmc ss)");
	fd = agent_open(prog, &c);
	rc = client_ask(fd, XVMC_AG_STEER, &ask, sizeof(ask), CLIENT_TIMEOUT_MS,
			XVMC_AG_END, NULL, NULL);
	if (rc == -ENOENT || rc == -ESRCH)
		cli_die(prog, CLI_EXIT_FAILED, "process %u is not under xvmc", ask.pid);
	agent_must(prog, rc);
	client_close(fd);
	print_ok(prog, &c);
	return 0;
}

int cmd_promote(int argc, char **argv)
{
	return steer("xvmc promote",
		     "Asks processes to move their connections to rings where that is possible.\n"
		     "Without --pid: all. Look at the outcome with xvmc ss.",
		     XVMC_PATH_RING, argc, argv);
}

int cmd_demote(int argc, char **argv)
{
	return steer("xvmc demote",
		     "Asks processes to move their connections to TCP, where they stay until\n"
		     "xvmc promote. Without --pid: all.",
		     XVMC_PATH_TCP, argc, argv);
}

/* One MIGRATE, CREATE or DESTROY. Ends with 1 and one line if it fails. */
static void domop(const char *prog, const struct common *c, uint16_t type,
		  struct xvmc_ag_domop *ask, int timeout_ms)
{
	int fd = agent_open(prog, c), rc;

	rc = client_ask(fd, type, ask, sizeof(*ask), timeout_ms, XVMC_AG_END,
			NULL, NULL);
	client_close(fd);
	switch (-rc) {
	case ENOENT:
		cli_die(prog, CLI_EXIT_FAILED, "there is no domain %s", ask->domain);
	case EEXIST:
		cli_die(prog, CLI_EXIT_FAILED, "there is a domain %s already", ask->domain);
	case ENOSPC:
		cli_die(prog, CLI_EXIT_FAILED, "no more domains fit");
	case EBUSY:
		cli_die(prog, CLI_EXIT_FAILED, "domain %s is being migrated", ask->domain);
	case EALREADY:
		cli_die(prog, CLI_EXIT_FAILED, "domain %s is on host %s already",
			ask->domain, ask->host);
	case EOPNOTSUPP:
		cli_die(prog, CLI_EXIT_FAILED, "this xvmcd cannot do that: on Xen use the toolstack (xl)");
	}
	agent_must(prog, rc);
}

static void put_name(const char *prog, char *dst, const char *name,
		     const char *what)
{
	if (!cli_name_ok(name))
		cli_die(prog, CLI_EXIT_USAGE,
			"a %s's name is up to %u letters, digits, '.', '_' and '-', not: %s",
			what, XVMC_NAME_MAX - 1, name);
	memcpy(dst, name, strlen(name) + 1);
}

static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

int cmd_migrate(int argc, char **argv)
{
	struct common c = { 0 };
	struct xvmc_ag_domop ask = { 0 };
	bool unprepared = false, cancelled = false;
	const struct cli_opt opts[] = {
		{ "unprepared", 0, CLI_FLAG, NULL, "processes are not told beforehand, as with a plain xl migrate", &unprepared, 0, 0 },
		{ "cancelled", 0, CLI_FLAG, NULL, "it fails after the preparation; the domain stays", &cancelled, 0, 0 },
		{ "precopy-ms", 0, CLI_U32, "N", "how long the pre-copy phase lasts", &ask.precopy_ms, 0, 600000 },
		COMMON_OPTS(&c),
		{ 0 },
	};
	const struct cli cli = {
		"xvmc migrate", "DOMAIN HOST",
		"Migrates a domain of the local backend to another host, while its connections\n"
		"run. Ends when the migration has finished.",
		opts, 2, 2, false,
	};
	char *args[argc + 1];
	double t0;

	cli_parse(&cli, argc, argv, args);
	if (unprepared && cancelled)
		cli_die(cli.prog, CLI_EXIT_USAGE,
			"--unprepared and --cancelled exclude each other");
	put_name(cli.prog, ask.domain, args[0], "domain");
	put_name(cli.prog, ask.host, args[1], "host");
	ask.how = unprepared ? XVMC_MIGRATE_UNPREPARED :
		  cancelled  ? XVMC_MIGRATE_CANCELLED :
			       XVMC_MIGRATE_PREPARED;
	t0 = now_ms();
	domop(cli.prog, &c, XVMC_AG_MIGRATE, &ask,
	      MIGRATE_TIMEOUT_MS + (int)ask.precopy_ms);
	t0 = now_ms() - t0;
	if (c.json) {
		cJSON *o = cJSON_CreateObject();

		cJSON_AddTrueToObject(o, "ok");
		cJSON_AddStringToObject(o, "domain", ask.domain);
		cJSON_AddStringToObject(o, "host", ask.host);
		cJSON_AddBoolToObject(o, "moved", !cancelled);
		cJSON_AddNumberToObject(o, "ms", t0);
		json_print(cli.prog, o, false);
	} else if (cancelled) {
		printf("%s: the migration to %s was cancelled, %.1f ms\n",
		       ask.domain, ask.host, t0);
	} else {
		printf("%s: now on host %s, %.1f ms\n", ask.domain, ask.host, t0);
	}
	return 0;
}

int cmd_create(int argc, char **argv)
{
	struct common c = { 0 };
	struct xvmc_ag_domop ask = { 0 };
	const struct cli_opt opts[] = { COMMON_OPTS(&c), { 0 } };
	const struct cli cli = {
		"xvmc create", "DOMAIN HOST",
		"Makes a domain of the local backend on a host; the host need not exist before.",
		opts, 2, 2, false,
	};
	char *args[argc + 1];

	cli_parse(&cli, argc, argv, args);
	put_name(cli.prog, ask.domain, args[0], "domain");
	put_name(cli.prog, ask.host, args[1], "host");
	domop(cli.prog, &c, XVMC_AG_CREATE, &ask, CLIENT_TIMEOUT_MS);
	print_ok(cli.prog, &c);
	return 0;
}

int cmd_destroy(int argc, char **argv)
{
	struct common c = { 0 };
	struct xvmc_ag_domop ask = { 0 };
	const struct cli_opt opts[] = { COMMON_OPTS(&c), { 0 } };
	const struct cli cli = {
		"xvmc destroy", "DOMAIN",
		"Ends a domain of the local backend: for its peers it is as if it had been\n"
		"killed. Its processes live on, on TCP.",
		opts, 1, 1, false,
	};
	char *args[argc + 1];

	cli_parse(&cli, argc, argv, args);
	put_name(cli.prog, ask.domain, args[0], "domain");
	domop(cli.prog, &c, XVMC_AG_DESTROY, &ask, CLIENT_TIMEOUT_MS);
	print_ok(cli.prog, &c);
	return 0;
}

int cmd_shutdown(int argc, char **argv)
{
	struct common c = { 0 };
	const struct cli_opt opts[] = { COMMON_OPTS(&c), { 0 } };
	const struct cli cli = {
		"xvmc shutdown", "",
		"Ends xvmcd. Running connections go on; no new ones are moved to rings.",
		opts, 0, 0, false,
	};
	union client_msg rest;
	char *args[argc + 1];
	int fd;

	cli_parse(&cli, argc, argv, args);
	fd = agent_open(cli.prog, &c);
	agent_must(cli.prog, client_ask(fd, XVMC_AG_SHUTDOWN, NULL, 0,
					CLIENT_TIMEOUT_MS, XVMC_AG_END, NULL,
					NULL));
	/* Its end of the socket goes last: another may start afterwards. */
	while (client_recv(fd, CLIENT_TIMEOUT_MS, &rest) == 0)
		;
	client_close(fd);
	print_ok(cli.prog, &c);
	return 0;
}
