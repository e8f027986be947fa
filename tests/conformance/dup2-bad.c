/* SPDX-License-Identifier: MIT */
/* dup2 that fails leaves both as they were; dup2 onto itself does nothing. */
#include "conf.h"

int main(void)
{
	int a, b;

	conf_pair(&a, &b);
	conf_res("from closed", dup2(900, b));
	conf_trip(a, b);
	conf_say("itself %d", dup2(b, b) == b);
	conf_trip(a, b);
	conf_res("to -1", dup2(b, -1));
	conf_res("to too many", dup2(b, 1 << 30));
	conf_res("dup3 from closed", dup3(900, b, 0));
	conf_res("dup3 flags", dup3(a, b, 1));
	conf_trip(a, b);
	return 0;
}
