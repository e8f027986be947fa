/* SPDX-License-Identifier: MIT */
/* A thread cancelled in a blocked send; the connection goes on. */
#include "conf.h"

static uint8_t big[8192];
static int a, b;

static long in_send(void)
{
	for (;;)
		conf_put(a, big, sizeof(big));
	return 0;
}

int main(void)
{
	static uint8_t buf[65536];
	struct conf_sleeper s;
	void *ret;

	conf_pair(&a, &b);
	conf_start(&s, in_send);
	pthread_cancel(s.thread);
	pthread_join(s.thread, &ret);
	conf_say("%s", ret == PTHREAD_CANCELED ? "cancelled" : "returned");
	conf_put(b, "back", 4);
	conf_get(a, buf, 4);
	conf_say("%.4s", (char *)buf);
	shutdown(a, SHUT_WR);
	while (recv(b, buf, sizeof(buf), 0) > 0)
		;
	conf_res("recv", recv(b, buf, sizeof(buf), 0));
	return 0;
}
