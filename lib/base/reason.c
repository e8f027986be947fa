/* SPDX-License-Identifier: MIT */
/*
 * The words of reason.def.
 */
#include "reason.h"

static const char *const words[] = {
#define XVMC_REASON(name, word, text) word,
#include "reason.def"
#undef XVMC_REASON
};

static const char *const texts[] = {
#define XVMC_REASON(name, word, text) text,
#include "reason.def"
#undef XVMC_REASON
};

const char *xvmc_reason_word(unsigned int reason)
{
	return reason < XVMC_R_COUNT ? words[reason] : "?";
}

const char *xvmc_reason_text(unsigned int reason)
{
	return reason < XVMC_R_COUNT ? texts[reason] :
				       "a reason this build does not know";
}
