/* SPDX-License-Identifier: MIT */
/*
 * Command lines of the tools: one table of options yields the parser and
 * the text of --help. A wrong command line is one line on standard error
 * and exit status 2. Not for the library: its options are variables.
 */
#ifndef XVMC_TOOLS_CLI_H
#define XVMC_TOOLS_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLI_EXIT_FAILED 1
#define CLI_EXIT_USAGE 2

enum cli_kind {
	CLI_FLAG, /* dst: bool */
	CLI_TEXT, /* dst: const char * */
	CLI_MAYBE, /* the same; the value only by '=', "" without */
	CLI_NAME, /* dst: const char *; a domain's or host's name */
	CLI_U32,  /* dst: uint32_t, between min and max */
	CLI_LIST, /* dst: struct cli_list, may be given several times */
};

#define CLI_LIST_MAX 32u

struct cli_list {
	const char *item[CLI_LIST_MAX];
	size_t n;
};

/* A table ends with an entry whose name is NULL. */
struct cli_opt {
	const char *name; /* without the dashes */
	char letter;      /* or 0 */
	enum cli_kind kind;
	const char *arg; /* what --help calls the value */
	const char *text;
	void *dst;
	uint32_t min, max; /* CLI_U32 */
};

struct cli {
	const char *prog;
	const char *args; /* what follows the options, as --help shows it */
	const char *text; /* a paragraph for --help */
	const struct cli_opt *opts;
	int args_min, args_max; /* -1: any number */
	bool stop_at_arg;       /* what follows the first argument is not ours */
};

/*
 * Parses argv[1..]. Writes the arguments that are no options into ret_args
 * (argc + 1 entries, ends with NULL) and returns how many there are. Prints
 * the help on --help and -h and exits; exits with 2 on a wrong option.
 */
int cli_parse(const struct cli *cli, int argc, char **argv, char **ret_args);

/* "prog: what it is" on standard error, in one line; exits with status. */
_Noreturn void cli_die(const char *prog, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* "prog: what it is" on standard error. */
void cli_warn(const char *prog, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Ends the program: status, or 1 if the output could not be written. */
_Noreturn void cli_exit(const char *prog, int status);

/* A name that xvmcd takes: 1 to 31 of letters, digits, '.', '_', '-'. */
bool cli_name_ok(const char *name);

#endif
