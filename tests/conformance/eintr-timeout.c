/* SPDX-License-Identifier: MIT */
/* With a time-out set, reading and writing are interrupted even where
 * SA_RESTART is. */
#include "conf.h"

int main(void)
{
	static uint8_t big[4000000];
	struct timeval tv = { 20, 0 };
	struct conf_later l;
	ssize_t r;
	int a, b;
	char c;

	conf_pair(&a, &b);
	setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(a, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	conf_count(SIGUSR1, SA_RESTART);
	conf_later(&l, SIGUSR1, -1, NULL);
	conf_res("recv", recv(b, &c, 1, 0));
	pthread_join(l.thread, NULL);
	conf_stuff(a, 0);
	conf_later(&l, SIGUSR1, -1, NULL);
	/* What was full may have got room for a little. */
	r = send(a, big, sizeof(big), 0);
	conf_say("stopped: %s", r < (ssize_t)sizeof(big) ? "yes" : "no");
	pthread_join(l.thread, NULL);
	conf_say("signals %d", (int)conf_signals);
	return 0;
}
