/* SPDX-License-Identifier: MIT */
/*
 * enum xvmc_reason: why a connection is where it is. From reason.def.
 */
#ifndef XVMC_REASON_H
#define XVMC_REASON_H

enum xvmc_reason {
#define XVMC_REASON(name, word, text) XVMC_R_##name,
#include "reason.def"
#undef XVMC_REASON
	XVMC_R_COUNT
};

/* The short word, "?" for a number this build does not know. Any thread. */
const char *xvmc_reason_word(unsigned int reason);

/* The sentence for an operator. Any thread. */
const char *xvmc_reason_text(unsigned int reason);

#endif
