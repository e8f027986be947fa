/* SPDX-License-Identifier: MIT */
/* One thread accepts and forks, while others make and close connections. */
#include "serve.h"

#define SERVED 20

static _Atomic bool done;

static void *busy(void *arg)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), trips = 0;

	(void)arg;
	while (!done) {
		int a = conf_connect(&sa), b = accept(lfd, NULL, NULL);
		char c = 'x';

		for (int i = 0; i < trips % 40; i++) {
			conf_put(a, &c, 1);
			conf_get(b, &c, 1);
		}
		close(trips++ % 2 ? a : b);
		close(trips % 2 ? a : b);
	}
	close(lfd);
	return NULL;
}

int main(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa);
	pthread_t thread[2];

	alarm(30);
	for (int i = 0; i < 2; i++)
		pthread_create(&thread[i], NULL, busy, NULL);
	for (int i = 0; i < SERVED; i++) {
		pid_t client = serve_client(&sa, i == SERVED / 2 ? "wt" : "t"), child;
		int fd = serve_accept(lfd);

		child = conf_fork();
		if (child == 0) {
			close(lfd);
			if (i == SERVED / 2)
				conf_warm_server(fd);
			serve_trips(fd);
			serve_end(fd);
		}
		close(fd);
		conf_wait(client);
		conf_wait(child);
	}
	done = true;
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	return 0;
}
