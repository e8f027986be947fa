/* SPDX-License-Identifier: MIT */
/*
 * Output of the sub-commands: aligned tables, names and addresses as text,
 * JSON. Names come from other processes: nothing unprintable gets through
 * to the terminal.
 */
#include "xvmc.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xvmc/agent.h>

struct table {
	const char *const *heads;
	const char *right; /* one letter per column: 'r' or 'l' */
	size_t cols;
	char **cells;
	size_t n;
	size_t width[TABLE_COLS];
};

static void *must(void *p)
{
	if (!p)
		cli_die("xvmc", CLI_EXIT_FAILED, "out of memory");
	return p;
}

struct table *table_new(const char *const *heads, const char *right)
{
	struct table *t = must(calloc(1, sizeof(*t)));

	t->heads = heads;
	t->right = right;
	t->cols = strlen(right);
	for (size_t i = 0; i < t->cols; i++)
		t->width[i] = strlen(heads[i]);
	return t;
}

void table_put(struct table *t, const char *fmt, ...)
{
	size_t col = t->n % t->cols;
	va_list ap;
	char *cell;

	va_start(ap, fmt);
	if (vasprintf(&cell, fmt, ap) < 0)
		must(NULL);
	va_end(ap);
	if ((t->n & (t->n + 1)) == 0) /* room for twice as many */
		t->cells = must(realloc(t->cells, (2 * t->n + 2) *
						       sizeof(*t->cells)));
	t->cells[t->n++] = cell;
	if (strlen(cell) > t->width[col])
		t->width[col] = strlen(cell);
}

static void print_row(const struct table *t, char *const *cells,
		      const char *const *heads)
{
	for (size_t i = 0; i < t->cols; i++) {
		const char *s = heads ? heads[i] : cells[i];
		int w = (int)t->width[i];

		if (t->right[i] == 'r')
			printf("%*s", w, s);
		else if (i + 1 < t->cols)
			printf("%-*s", w, s);
		else
			printf("%s", s);
		if (i + 1 < t->cols)
			printf("  ");
	}
	putchar('\n');
}

void table_print(const struct table *t, bool with_heads)
{
	if (with_heads)
		print_row(t, NULL, t->heads);
	for (size_t i = 0; i + t->cols <= t->n; i += t->cols)
		print_row(t, t->cells + i, NULL);
}

void table_free(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->cells[i]);
	free(t->cells);
	free(t);
}

/* A small round of buffers, so that one printf may use several. */
static char *scratch(void)
{
	static char buf[8][80];
	static unsigned int next;

	return buf[next++ % 8];
}

static char *printable(const char *name, size_t size, char from)
{
	char *s = scratch();
	size_t i;

	for (i = 0; i < size && i < 79 && name[i]; i++)
		s[i] = name[i] >= from && name[i] <= '~' ? name[i] : '?';
	s[i] = 0;
	return s;
}

const char *text_name(const char *name, size_t size)
{
	const char *s = printable(name, size, '!');

	return *s ? s : "-";
}

const char *text_addr(const struct in6_addr *ip, uint16_t port)
{
	bool v4 = IN6_IS_ADDR_V4MAPPED(ip);
	char text[INET6_ADDRSTRLEN] = "?";
	char *s = scratch();

	if (v4)
		inet_ntop(AF_INET, &ip->s6_addr[12], text, sizeof(text));
	else
		inet_ntop(AF_INET6, ip, text, sizeof(text));
	if (!port)
		snprintf(s, 80, "%s", text);
	else if (v4)
		snprintf(s, 80, "%s:%u", text, port);
	else
		snprintf(s, 80, "[%s]:%u", text, port);
	return s;
}

const char *text_bytes(uint64_t n, bool exact)
{
	static const char units[] = "BKMGTPE";
	double v = (double)n;
	unsigned int u = 0;
	char *s = scratch();

	for (; !exact && v >= 999.5 && u < sizeof(units) - 2; u++)
		v /= 1024;
	if (u == 0)
		snprintf(s, 80, "%" PRIu64, n);
	else
		snprintf(s, 80, "%.*f%c", v < 9.95 ? 1 : 0, v, units[u]);
	return s;
}

const char *text_path(uint8_t path)
{
	switch (path) {
	case XVMC_PATH_TCP:
		return "TCP";
	case XVMC_PATH_RING:
		return "RING";
	default:
		return "?";
	}
}

void json_u64(cJSON *obj, const char *key, uint64_t n)
{
	char text[24];

	/* Raw: cJSON's numbers are doubles, counters are exact. */
	snprintf(text, sizeof(text), "%" PRIu64, n);
	cJSON_AddRawToObject(obj, key, text);
}

void json_name(cJSON *obj, const char *key, const char *name, size_t size)
{
	cJSON_AddStringToObject(obj, key, printable(name, size, ' '));
}

void json_print(const char *prog, cJSON *json, bool line)
{
	char *text = line ? cJSON_PrintUnformatted(json) : cJSON_Print(json);

	cJSON_Delete(json);
	puts(must(text));
	cJSON_free(text);
	if (fflush(stdout) != 0)
		cli_exit(prog, CLI_EXIT_FAILED);
}
