/* SPDX-License-Identifier: MIT */
/*
 * What the sub-commands of xvmc share: their list, the way to xvmcd, the
 * table and the JSON they print. A sub-command is one function that gets its
 * own argv and returns the exit status: 0, 1 (it did not work), 2 (wrong
 * options).
 */
#ifndef XVMC_TOOLS_XVMC_H
#define XVMC_TOOLS_XVMC_H

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "cli.h"
#include "client.h"

/* Options that every sub-command has; the first entries of its table. */
struct common {
	const char *dir;
	bool json;
};
#define COMMON_OPTS(c)                                                       \
	{ "json", 0, CLI_FLAG, NULL, "print JSON", &(c)->json, 0, 0 },       \
	{ "dir", 0, CLI_TEXT, "DIR", "the runtime directory of xvmcd",       \
	  &(c)->dir, 0, 0 }

int cmd_ss(int argc, char **argv);
int cmd_vms(int argc, char **argv);
int cmd_stat(int argc, char **argv);
int cmd_promote(int argc, char **argv);
int cmd_demote(int argc, char **argv);
int cmd_migrate(int argc, char **argv);
int cmd_create(int argc, char **argv);
int cmd_destroy(int argc, char **argv);
int cmd_shutdown(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

/* Connects; if no xvmcd answers, says in one line how to start one and ends
 * with 1. */
int agent_open(const char *prog, const struct common *c);

/* The command that starts an xvmcd in dir. Valid until the next call. */
const char *start_command(const char *dir);

/* Ends with 1 and one line if rc is negative. */
void agent_must(const char *prog, int rc);

struct xvmc_ag_domop;

/* One MIGRATE, CREATE or DESTROY. Ends with 1 and one line if it fails. */
void domop(const char *prog, const struct common *c, uint16_t type,
	   struct xvmc_ag_domop *ask, int timeout_ms);

/* Into a field of a message; ends with 2 if it is no name. what: domain, host. */
void put_name(const char *prog, char *dst, const char *name, const char *what);

/* ---- text ---- */

#define TABLE_COLS 16u

struct table; /* rows of strings, printed with aligned columns */
struct table *table_new(const char *const *heads, const char *right);
void table_put(struct table *t, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void table_print(const struct table *t, bool with_heads);
void table_free(struct table *t);

/* A name from a message: at most size bytes, printable, one word. Valid until
 * the eighth call after this one. */
const char *text_name(const char *name, size_t size);

/* address:port or [address]:port; port 0: the address alone. As above. */
const char *text_addr(const struct in6_addr *ip, uint16_t port);

/* 1536 -> "1.5K"; exact: "1536". As above. */
const char *text_bytes(uint64_t n, bool exact);

const char *text_path(uint8_t path);

/* ---- JSON ---- */

void json_u64(cJSON *obj, const char *key, uint64_t n);
void json_name(cJSON *obj, const char *key, const char *name, size_t size);
/* Prints and frees it; line: on one line. */
void json_print(const char *prog, cJSON *json, bool line);

#endif
