/* SPDX-License-Identifier: MIT */
/* A handler writes to the very connection whose read it interrupted, and one
 * reads what that read was waiting for. */
#include "conf.h"

static int a, b;
static bool reads;

static void handler(int sig)
{
	char buf[8] = "";

	(void)sig;
	if (reads) {
		conf_put(a, "stolen", 6);
		conf_res("recv in the handler", recv(b, buf, 6, MSG_WAITALL));
	} else {
		conf_res("send in the handler", send(b, "out", 3, 0));
	}
}

int main(void)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct conf_later l;
	char buf[8] = "";

	conf_pair(&a, &b);
	sigaction(SIGUSR1, &sa, NULL);
	for (int i = 0; i < 2; i++) {
		reads = i;
		conf_later(&l, SIGUSR1, a, "late");
		conf_res("recv", recv(b, buf, 4, MSG_WAITALL));
		pthread_join(l.thread, NULL);
		conf_say("%s", buf);
	}
	conf_res("recv", recv(a, buf, 8, 0));
	return 0;
}
