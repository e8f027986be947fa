/* SPDX-License-Identifier: MIT */
/* After SHUT_RD the end is read at once, and what still comes is read too. */
#include "conf.h"

int main(void)
{
	char buf[16] = "";
	int a, b;

	conf_pair(&a, &b);
	conf_res("RD", shutdown(b, SHUT_RD));
	conf_res("recv", recv(b, buf, 16, 0));
	conf_put(a, "after", 5);
	conf_poll(b, CONF_ALL, 2000);
	conf_ms(20);
	conf_res("recv", recv(b, buf, 16, 0));
	conf_say("%s", buf);
	conf_res("recv", recv(b, buf, 16, 0));
	conf_put(b, "other way", 9);
	conf_res("recv", recv(a, buf, 9, MSG_WAITALL));
	conf_res("WR", shutdown(a, SHUT_WR));
	conf_res("recv", recv(b, buf, 16, 0));
	return 0;
}
