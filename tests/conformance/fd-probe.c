/* SPDX-License-Identifier: MIT */
/* A thread asks which numbers are open, while connections get their rings beside
 * it: those that the program has not, are not. */
#include "conf.h"

#include <stdatomic.h>

#define PAIRS 24
#define FREE 8 /* numbers, from the lowest free one on */

static _Atomic bool over;
static int lowest;

static void *probe(void *arg)
{
	(void)arg;
	while (!over)
		for (int fd = lowest; fd < lowest + FREE; fd++)
			if (fcntl(fd, F_GETFD) >= 0 || fcntl(fd, F_GETFL) >= 0) {
				conf_say("%d is open", fd);
				return NULL;
			}
	return NULL;
}

int main(void)
{
	int fds[PAIRS][2], a, b, lfd;
	struct sockaddr_in sa;
	pthread_t t;

	conf_pair(&a, &b);
	lfd = conf_listen(&sa);
	for (int i = 0; i < PAIRS; i++) {
		fds[i][0] = conf_connect(&sa);
		fds[i][1] = accept(lfd, NULL, NULL);
	}
	lowest = dup(a);
	close(lowest);
	pthread_create(&t, NULL, probe, NULL);
	for (int trip = 0; trip < 100; trip++)
		for (int i = 0; i < PAIRS; i++)
			conf_trips(fds[i][0], fds[i][1], 1);
	over = true;
	pthread_join(t, NULL);
	conf_trip(a, b);
	return 0;
}
