/* SPDX-License-Identifier: MIT */
/* shutdown of the writing half wakes who sleeps in send. */
#include "conf.h"

static int a, b;
static uint8_t big[20000000];

static long in_send(void)
{
	long r = send(a, big, sizeof(big), 0);

	/* How much went before is nobody's promise. */
	return r > 0 && r < (long)sizeof(big) ? 1 : r;
}

int main(void)
{
	struct conf_sleeper s;

	conf_count(SIGPIPE, 0);
	conf_pair(&a, &b);
	conf_fill(big, sizeof(big), 0);
	conf_start(&s, in_send);
	conf_res("shutdown", shutdown(a, SHUT_WR));
	conf_join(&s, "send");
	conf_res("send", send(a, "x", 1, 0));
	conf_say("SIGPIPE %s", conf_signals ? "yes" : "no");
	conf_put(b, "back", 4);
	conf_res("recv", recv(a, big, 4, MSG_WAITALL));
	return 0;
}
