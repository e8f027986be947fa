/* SPDX-License-Identifier: MIT */
/* A thread sleeps in accept while the listener is shut down; another is
 * interrupted, and goes on with SA_RESTART. */
#include "conf.h"

static struct sockaddr_in sa;
static int lfd;

static long in_accept(void)
{
	int fd = accept(lfd, NULL, NULL);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

int main(void)
{
	struct conf_sleeper s;
	int a, b, c;

	conf_pair(&a, &b);
	lfd = conf_listen(&sa);
	conf_count(SIGUSR1, 0);
	conf_start(&s, in_accept);
	pthread_kill(s.thread, SIGUSR1);
	conf_join(&s, "interrupted");
	conf_count(SIGUSR1, SA_RESTART);
	conf_start(&s, in_accept);
	pthread_kill(s.thread, SIGUSR1);
	conf_asleep(s.tid);
	c = conf_connect(&sa);
	conf_join(&s, "restarted");
	conf_start(&s, in_accept);
	conf_res("shutdown", shutdown(lfd, SHUT_RDWR));
	conf_join(&s, "shut down");
	conf_say("signals %d", (int)conf_signals);
	conf_trip(a, b);
	close(c);
	return 0;
}
