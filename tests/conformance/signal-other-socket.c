/* SPDX-License-Identifier: MIT */
/* A handler that interrupted a read uses another connection. */
#include "conf.h"

static int x, y;

static void handler(int sig)
{
	char buf[8] = "";

	(void)sig;
	conf_put(x, "inside", 6);
	conf_res("recv in the handler", recv(y, buf, 6, MSG_WAITALL));
}

int main(void)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct conf_later l;
	char buf[8] = "";
	int a, b;

	conf_pair(&a, &b);
	conf_pair(&x, &y);
	sigaction(SIGUSR1, &sa, NULL);
	conf_later(&l, SIGUSR1, a, "late");
	conf_res("recv", recv(b, buf, 4, MSG_WAITALL));
	pthread_join(l.thread, NULL);
	conf_say("%s", buf);
	conf_trip(x, y);
	return 0;
}
