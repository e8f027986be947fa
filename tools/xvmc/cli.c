/* SPDX-License-Identifier: MIT */
/*
 * Command lines from tables. Long options must be written in full, so that
 * a script does not change its meaning when an option is added.
 */
#include "cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xvmc/agent.h>

static void say(const char *prog, const char *fmt, va_list ap)
{
	char line[1024];

	vsnprintf(line, sizeof(line), fmt, ap);
	for (char *p = line; *p; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	fprintf(stderr, "%s: %s\n", prog, line);
}

void cli_warn(const char *prog, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(prog, fmt, ap);
	va_end(ap);
}

void cli_die(const char *prog, int status, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(prog, fmt, ap);
	va_end(ap);
	exit(status);
}

void cli_exit(const char *prog, int status)
{
	if (fflush(stdout) != 0 || ferror(stdout))
		cli_die(prog, CLI_EXIT_FAILED, "cannot write the output: %s",
			strerror(errno));
	exit(status);
}

/* A decimal number between min and max, and nothing else in the text. */
static bool cli_number(const char *text, uint32_t min, uint32_t max, uint32_t *ret_n)
{
	unsigned long long n;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || *end || n < min || n > max)
		return false;
	*ret_n = (uint32_t)n;
	return true;
}

bool cli_name_ok(const char *name)
{
	size_t n = strlen(name);

	return n >= 1 && n < XVMC_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == n;
}

static void help(const struct cli *cli)
{
	char left[64], value[40];

	printf("usage: %s%s%s%s\n\n%s\n\noptions:\n", cli->prog,
	       cli->opts->name ? " [options]" : "", *cli->args ? " " : "",
	       cli->args, cli->text);
	for (const struct cli_opt *o = cli->opts; o->name; o++) {
		value[0] = 0;
		if (o->arg)
			snprintf(value, sizeof(value),
				 o->kind == CLI_MAYBE ? "[=%s]" : " %s", o->arg);
		snprintf(left, sizeof(left), "%c%c%c --%s%s",
			 o->letter ? '-' : ' ', o->letter ? o->letter : ' ',
			 o->letter ? ',' : ' ', o->name, value);
		printf("  %-26s %s\n", left, o->text);
	}
	printf("  %-26s %s\n", "-h, --help", "print this and end");
	cli_exit(cli->prog, 0);
}

_Noreturn static void wrong(const struct cli *cli, const char *what,
			    const char *detail)
{
	cli_die(cli->prog, CLI_EXIT_USAGE, "%s%s (see %s --help)", what, detail,
		cli->prog);
}

static const struct cli_opt *find(const struct cli *cli, const char *name,
				  size_t len, char letter)
{
	for (const struct cli_opt *o = cli->opts; o->name; o++) {
		if (letter && o->letter == letter)
			return o;
		if (!letter && strlen(o->name) == len &&
		    memcmp(o->name, name, len) == 0)
			return o;
	}
	return NULL;
}

static void store(const struct cli *cli, const struct cli_opt *o,
		  const char *val)
{
	struct cli_list *list = o->dst;
	char what[128];

	switch (o->kind) {
	case CLI_FLAG:
		*(bool *)o->dst = true;
		return;
	case CLI_NAME:
		if (!cli_name_ok(val)) {
			snprintf(what, sizeof(what),
				 "--%s takes a name of up to %u letters, digits, "
				 "'.', '_' and '-', not: ",
				 o->name, XVMC_NAME_MAX - 1);
			wrong(cli, what, val);
		}
		*(const char **)o->dst = val;
		return;
	case CLI_TEXT:
		if (!*val)
			wrong(cli, "empty value for --", o->name);
		*(const char **)o->dst = val;
		return;
	case CLI_MAYBE:
		if (val && !*val)
			wrong(cli, "empty value for --", o->name);
		*(const char **)o->dst = val ? val : "";
		return;
	case CLI_U32:
		if (!cli_number(val, o->min, o->max, o->dst)) {
			snprintf(what, sizeof(what),
				 "--%s takes a number from %u to %u, not: ",
				 o->name, o->min, o->max);
			wrong(cli, what, val);
		}
		return;
	case CLI_LIST:
		if (list->n == CLI_LIST_MAX)
			wrong(cli, "too many times: --", o->name);
		list->item[list->n++] = val;
		return;
	}
}

/* One option at argv[i], with a value in it or after it. Returns the index
 * of the last word it took. */
static int take(const struct cli *cli, int argc, char **argv, int i)
{
	const char *word = argv[i], *val = NULL;
	const struct cli_opt *o;

	if (word[1] == '-') {
		size_t len = strcspn(word + 2, "=");

		o = find(cli, word + 2, len, 0);
		if (word[2 + len] == '=')
			val = word + 2 + len + 1;
	} else {
		o = find(cli, NULL, 0, word[1]);
		if (o && o->kind == CLI_FLAG && word[2])
			o = NULL; /* no bundles of letters */
		else if (word[2])
			val = word + 2;
	}
	if (!strcmp(word, "--help") || (!strcmp(word, "-h") && !o))
		help(cli);
	if (!o)
		wrong(cli, "unknown option: ", word);
	if (o->kind == CLI_FLAG && val)
		wrong(cli, "no value belongs to --", o->name);
	if (o->kind != CLI_FLAG && o->kind != CLI_MAYBE && !val) {
		if (i + 1 >= argc)
			wrong(cli, "no value after --", o->name);
		val = argv[++i];
	}
	store(cli, o, val);
	return i;
}

int cli_parse(const struct cli *cli, int argc, char **argv, char **ret_args)
{
	bool options = true;
	int n = 0;

	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];

		if (options && !strcmp(word, "--")) {
			options = false;
		} else if (options && word[0] == '-' && word[1]) {
			i = take(cli, argc, argv, i);
		} else {
			ret_args[n++] = argv[i];
			if (cli->stop_at_arg)
				options = false;
		}
	}
	ret_args[n] = NULL;
	if (n < cli->args_min)
		wrong(cli, "something is missing: ", cli->args);
	if (cli->args_max >= 0 && n > cli->args_max)
		wrong(cli, "too much: ", ret_args[cli->args_max]);
	return n;
}
