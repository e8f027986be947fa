/* SPDX-License-Identifier: MIT */
/* MSG_MORE and TCP_CORK hold back, what follows lets go. */
#include "conf.h"

int main(void)
{
	char buf[16] = "";
	int a, b, one = 1, zero = 0;

	conf_pair(&a, &b);
	setsockopt(a, IPPROTO_TCP, TCP_NODELAY, &zero, sizeof(zero));
	conf_res("MORE", send(a, "abc", 3, MSG_MORE));
	conf_res("MORE", send(a, "def", 3, MSG_MORE));
	setsockopt(a, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	conf_res("send", send(a, "ghi", 3, 0));
	conf_res("recv", recv(b, buf, 9, MSG_WAITALL));
	conf_say("%s", buf);
	conf_res("CORK", setsockopt(a, IPPROTO_TCP, TCP_CORK, &one, sizeof(one)));
	conf_put(a, "123", 3);
	conf_put(a, "456", 3);
	conf_res("CORK", setsockopt(a, IPPROTO_TCP, TCP_CORK, &zero, sizeof(zero)));
	conf_res("recv", recv(b, buf, 6, MSG_WAITALL));
	conf_say("%s", buf);
	conf_res("MORE", send(a, "last", 4, MSG_MORE));
	shutdown(a, SHUT_WR);
	conf_res("recv", recv(b, buf, 16, MSG_WAITALL));
	conf_res("recv", recv(b, buf, 16, 0));
	return 0;
}
