/* SPDX-License-Identifier: MIT */
/*
 * The sub-commands that change something: promote, demote, create, destroy,
 * shutdown. migrate is in migrate.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xvmc/agent.h>

#include "xvmc.h"

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

void domop(const char *prog, const struct common *c, uint16_t type,
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

void put_name(const char *prog, char *dst, const char *name, const char *what)
{
	if (!cli_name_ok(name))
		cli_die(prog, CLI_EXIT_USAGE,
			"a %s's name is up to %u letters, digits, '.', '_' and '-', not: %s",
			what, XVMC_NAME_MAX - 1, name);
	memcpy(dst, name, strlen(name) + 1);
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
