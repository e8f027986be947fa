/* SPDX-License-Identifier: MIT */
/*
 * The library's options, from options.def.
 */
#ifndef XVMC_OPTIONS_H
#define XVMC_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define XVMC_OPT_STR_MAX 512u

struct xvmc_options {
#define XVMC_OPT(field, var, def, min, max, text) uint32_t field;
#define XVMC_OPT_STR(field, var, text) char field[XVMC_OPT_STR_MAX];
#include "options.def"
#undef XVMC_OPT
#undef XVMC_OPT_STR
};

/*
 * Fills opt from the environment; a value that is no number or out of range
 * is ignored (the default stays) and counted in the return value. Allocates
 * nothing. In a set-uid program the strings stay empty.
 */
int xvmc_options_load(struct xvmc_options *opt);

/* Whether the environment says anything of a variable. */
bool xvmc_options_set(const char *var);

/* One option as text, for dumps: returns its variable's name, NULL past the
 * end, with its value in buf (at least XVMC_OPT_STR_MAX bytes). */
const char *xvmc_options_show(const struct xvmc_options *opt, unsigned int i,
			      char *buf, const char **ret_text);

#endif
