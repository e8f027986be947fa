/* SPDX-License-Identifier: MIT */
/* shutdown(SHUT_RD): what is there can be read, then end of stream. */
#include "conf.h"

int main(void)
{
	char buf[16];
	int a, b;

	conf_pair(&a, &b);
	conf_put(a, "abc", 3);
	conf_poll(b, POLLIN, 2000);
	conf_res("shutdown", shutdown(b, SHUT_RD));
	conf_poll(b, CONF_ALL, 0);
	conf_res("recv", recv(b, buf, sizeof(buf), 0));
	conf_res("recv", recv(b, buf, sizeof(buf), 0));
	conf_res("send", send(b, "back", 4, 0));
	conf_res("recv", recv(a, buf, sizeof(buf), 0));
	conf_res("shutdown 7", shutdown(b, 7));
	return 0;
}
