/* SPDX-License-Identifier: MIT */
/* MSG_WAITALL with some of the bytes there, interrupted. */
#include "conf.h"

int main(void)
{
	struct conf_later l;
	char buf[16] = "";
	int a, b;

	conf_pair(&a, &b);
	conf_count(SIGUSR1, 0);
	conf_put(a, "abc", 3);
	conf_later(&l, SIGUSR1, -1, NULL);
	conf_res("interrupted", recv(b, buf, 8, MSG_WAITALL));
	pthread_join(l.thread, NULL);
	conf_say("%.3s", buf);
	conf_later(&l, SIGUSR1, -1, NULL);
	conf_res("nothing there", recv(b, buf, 8, MSG_WAITALL));
	pthread_join(l.thread, NULL);
	conf_count(SIGUSR1, SA_RESTART);
	conf_put(a, "abc", 3);
	conf_later(&l, SIGUSR1, -1, NULL);
	conf_res("partly, SA_RESTART", recv(b, buf, 8, MSG_WAITALL));
	pthread_join(l.thread, NULL);
	conf_later(&l, SIGUSR1, a, "abcdefgh");
	conf_res("SA_RESTART", recv(b, buf, 8, MSG_WAITALL));
	pthread_join(l.thread, NULL);
	conf_say("%s signals %d", buf, (int)conf_signals);
	return 0;
}
