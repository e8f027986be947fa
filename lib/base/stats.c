/* SPDX-License-Identifier: MIT */
/*
 * Names of the counters.
 */
#include "stats.h"

#include <stdio.h>

static const char *const keys[] = {
#define XVMC_STAT(name, key, text) key,
#include "stats.def"
#undef XVMC_STAT
};

const char *xvmc_stat_key(unsigned int stat, char *buf)
{
	if (stat < XVMC_S_REASON0)
		return keys[stat];
	snprintf(buf, 64, "reason_%s", xvmc_reason_word(stat - XVMC_S_REASON0));
	for (char *p = buf; *p; p++)
		if (*p == '-')
			*p = '_';
	return buf;
}
