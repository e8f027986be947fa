/* SPDX-License-Identifier: MIT */
/* Another connection is put over the number a thread reads from: it goes on
 * reading the old one, and the new one is nobody's yet. */
#include "conf.h"

static int a, b;
static char buf[8];

static long in_recv(void)
{
	return recv(b, buf, 3, 0);
}

int main(void)
{
	struct conf_sleeper s;
	char other[8] = "", c;
	int x, y;

	conf_pair(&a, &b);
	conf_pair(&x, &y);
	conf_start(&s, in_recv);
	conf_say("dup2: %d", dup2(y, b) == b);
	conf_put(x, "new", 3);
	conf_put(a, "old", 3);
	conf_join(&s, "recv");
	conf_say("%s", buf);
	conf_res("recv", recv(b, other, 3, MSG_WAITALL));
	conf_say("%s", other);
	conf_poll(a, POLLIN | POLLRDHUP, 2000);
	conf_res("recv", recv(a, &c, 1, 0));
	conf_trip(x, b);
	return 0;
}
