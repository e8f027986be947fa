/* SPDX-License-Identifier: MIT */
/*
 * Reading options.def out of the environment.
 */
#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rules.h"

static int load_num(const char *var, uint32_t def, unsigned long min,
		    unsigned long max, uint32_t *field)
{
	const char *val = getenv(var);
	unsigned long n = 0;

	*field = def;
	if (!val || !*val)
		return 0;
	for (const char *p = val; *p; p++) {
		if (*p < '0' || *p > '9' || n > max)
			return 1;
		n = n * 10 + (unsigned long)(*p - '0');
	}
	if (n < min || n > max)
		return 1;
	*field = (uint32_t)n;
	return 0;
}

static int load_str(const char *var, char *field)
{
	const char *val = secure_getenv(var);

	field[0] = '\0';
	if (!val)
		return 0;
	if (strlen(val) >= XVMC_OPT_STR_MAX)
		return 1;
	memcpy(field, val, strlen(val) + 1);
	return 0;
}

bool xvmc_options_set(const char *var)
{
	const char *val = getenv(var);

	return val && *val;
}

/* All rings have one size, unless bounds are named. */
static void bound_orders(struct xvmc_options *opt)
{
	if (!xvmc_options_set("XVMC_RING_ORDER_LEAST"))
		opt->order_least = opt->order;
	if (!xvmc_options_set("XVMC_RING_ORDER_MOST"))
		opt->order_most = opt->order;
}

int xvmc_options_load(struct xvmc_options *opt)
{
	struct xvmc_rules rules;
	int bad = 0;

#define XVMC_OPT(field, var, def, min, max, text) \
	bad += load_num(var, def, min, max, &opt->field);
#define XVMC_OPT_STR(field, var, text) bad += load_str(var, opt->field);
#include "options.def"
#undef XVMC_OPT
#undef XVMC_OPT_STR
	bound_orders(opt);
	/* All of them or none: half a set of rules means something else. */
	if (xvmc_rules_parse(opt->rules, &rules, NULL) < 0) {
		opt->rules[0] = '\0';
		bad++;
	}
	return bad;
}

const char *xvmc_options_show(const struct xvmc_options *opt, unsigned int i,
			      char *buf, const char **ret_text)
{
	unsigned int k = 0;

#define XVMC_OPT(field, var, def, min, max, text)                           \
	if (k++ == i) {                                                     \
		snprintf(buf, XVMC_OPT_STR_MAX, "%u", (unsigned)opt->field); \
		*ret_text = text;                                           \
		return var;                                                 \
	}
#define XVMC_OPT_STR(field, var, text)                                     \
	if (k++ == i) {                                                    \
		snprintf(buf, XVMC_OPT_STR_MAX, "%s", opt->field);         \
		*ret_text = text;                                          \
		return var;                                                \
	}
#include "options.def"
#undef XVMC_OPT
#undef XVMC_OPT_STR
	return NULL;
}
