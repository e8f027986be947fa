/* SPDX-License-Identifier: MIT */
/* Two connections change numbers. */
#include "conf.h"

int main(void)
{
	int a, b, c, d, spare;
	char buf[8] = "";

	conf_pair(&a, &b);
	conf_pair(&c, &d);
	conf_put(b, "first", 5);
	conf_put(d, "other", 5);
	spare = dup(a);
	dup2(c, a);
	dup2(spare, c);
	close(spare);
	conf_res("recv", recv(a, buf, 5, MSG_WAITALL));
	conf_say("%s", buf);
	conf_res("recv", recv(c, buf, 5, MSG_WAITALL));
	conf_say("%s", buf);
	conf_trip(a, d);
	conf_trip(c, b);
	close(a);
	conf_res("recv", recv(d, buf, 5, 0));
	conf_trip(c, b);
	return 0;
}
