/* SPDX-License-Identifier: MIT */
/* What splice and tee refuse. */
#include "conf.h"

int main(void)
{
	loff_t pos = 0;
	int a, b, p[2];

	conf_pair(&a, &b);
	if (pipe2(p, O_NONBLOCK) < 0)
		conf_die("pipe");
	conf_res("two sockets", splice(a, NULL, b, NULL, 1, 0));
	conf_res("position", splice(a, &pos, p[1], NULL, 1, 0));
	conf_res("tee", tee(a, p[1], 1, 0));
	conf_res("empty pipe", splice(p[0], NULL, a, NULL, 1, SPLICE_F_NONBLOCK));
	conf_nonblock(b, true);
	conf_res("empty socket", splice(b, NULL, p[1], NULL, 1, 0));
	conf_res("nothing", splice(b, NULL, p[1], NULL, 0, 0));
	conf_nonblock(b, false);
	conf_trip(a, b);
	return 0;
}
