/* SPDX-License-Identifier: MIT */
/*
 * xvmc: look at accelerated connections and steer them. This file finds the
 * sub-command and the way to xvmcd, from which all it knows comes.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <xvmc/agent.h>

#include "base/rundir.h"
#include "paths.h"
#include "xvmc.h"
#include "standard.h"

static int cmd_version(int argc, char **argv);

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *text;
} commands[] = {
	{ "ss", cmd_ss, "connections, each direction RING or TCP, and why" },
	{ "vms", cmd_vms, "domains, where they run, their addresses" },
	{ "stat", cmd_stat, "counters" },
	{ "promote", cmd_promote, "move connections to rings" },
	{ "demote", cmd_demote, "move connections to TCP" },
	{ "migrate", cmd_migrate, "move a domain to another host" },
	{ "create", cmd_create, "make a domain" },
	{ "destroy", cmd_destroy, "end a domain" },
	{ "shutdown", cmd_shutdown, "end xvmcd" },
	{ "doctor", cmd_doctor, "find what keeps programs from being accelerated" },
	{ "version", cmd_version, "print the version" },
};

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

const char *start_command(const char *dir)
{
	static char line[PATH_MAX + XVMC_RUNDIR_MAX + 32];
	char path[PATH_MAX];

	if (paths_xvmcd(path) < 0)
		strcpy(path, "xvmcd");
	snprintf(line, sizeof(line), "%s --daemon --dir %s", path, dir);
	return line;
}

int agent_open(const char *prog, const struct common *c)
{
	char dir[XVMC_RUNDIR_MAX];
	int fd, rc;

	rc = client_dir(c->dir, dir);
	if (rc == -EPERM)
		cli_die(prog, CLI_EXIT_FAILED,
			"/tmp/xvmc-UID is another user's or open to all: set XVMC_DIR to a directory of your own");
	if (rc < 0)
		cli_die(prog, CLI_EXIT_FAILED,
			"the runtime directory's name is too long: set XVMC_DIR to a shorter one");
	rc = client_open(dir, &fd);
	if (rc == -ENOENT || rc == -ECONNREFUSED)
		cli_die(prog, CLI_EXIT_FAILED,
			"no xvmcd answers in %s; start one with: %s", dir,
			start_command(dir));
	if (rc < 0)
		cli_die(prog, CLI_EXIT_FAILED, "%s (%s)", client_strerror(rc), dir);
	return fd;
}

void agent_must(const char *prog, int rc)
{
	if (rc < 0)
		cli_die(prog, CLI_EXIT_FAILED, "%s", client_strerror(rc));
}

static int cmd_version(int argc, char **argv)
{
	bool json = false;
	const struct cli_opt opts[] = {
		{ "json", 0, CLI_FLAG, NULL, "print JSON", &json, 0, 0 },
		{ 0 },
	};
	const struct cli cli = { "xvmc version", "", "Prints the version.",
				 opts, 0, 0, false };
	char *args[argc + 1];

	cli_parse(&cli, argc, argv, args);
	if (json) {
		cJSON *o = cJSON_CreateObject();

		cJSON_AddStringToObject(o, "version", XVMC_VERSION);
		json_u64(o, "abi", XVMC_ABI_VERSION);
		json_u64(o, "agent", XVMC_AGENT_VERSION);
		json_print(cli.prog, o, false);
	} else {
		printf("xvmc %s (pages %u, agent %u)\n", XVMC_VERSION,
		       XVMC_ABI_VERSION, XVMC_AGENT_VERSION);
	}
	return 0;
}

static void help(void)
{
	puts("usage: xvmc COMMAND [options]\n");
	for (size_t i = 0; i < NCOMMANDS; i++)
		printf("  %-10s %s\n", commands[i].name, commands[i].text);
	puts("\nxvmc COMMAND --help says more about each.");
}

int main(int argc, char **argv)
{
	standard_hold();
	if (argc < 2)
		cli_die("xvmc", CLI_EXIT_USAGE,
			"which command? (see xvmc --help)");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
	    !strcmp(argv[1], "help")) {
		help();
		cli_exit("xvmc", 0);
	}
	if (!strcmp(argv[1], "--version"))
		argv[1] = "version";
	for (size_t i = 0; i < NCOMMANDS; i++)
		if (!strcmp(argv[1], commands[i].name))
			cli_exit("xvmc", commands[i].run(argc - 1, argv + 1));
	cli_die("xvmc", CLI_EXIT_USAGE, "unknown command: %s (see xvmc --help)",
		argv[1]);
}
