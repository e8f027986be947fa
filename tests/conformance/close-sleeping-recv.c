/* SPDX-License-Identifier: MIT */
/* A thread sleeps in recv while another closes the number: the thread goes on
 * until something comes, and the connection ends only then. */
#include "conf.h"

static int a, b;
static char buf[8];

static long in_recv(void)
{
	return recv(b, buf, 4, 0);
}

int main(void)
{
	struct conf_sleeper s;
	char c;

	conf_pair(&a, &b);
	conf_start(&s, in_recv);
	conf_res("close", close(b));
	conf_poll(a, POLLIN | POLLRDHUP, 50);
	conf_put(a, "late", 4);
	conf_join(&s, "recv");
	conf_say("%s", buf);
	conf_poll(a, POLLIN | POLLRDHUP, 2000);
	conf_res("recv", recv(a, &c, 1, 0));
	return 0;
}
