/* SPDX-License-Identifier: MIT */
/* Every way to end with bytes on their way: all of them arrive. */
#include <sys/resource.h>

#include "conf.h"

#define TOTAL 60000u

static void *in_thread(void *arg)
{
	(void)arg;
	exit(7);
}

static void end(int how)
{
	static const struct rlimit no_core;
	pthread_t t;

	setrlimit(RLIMIT_CORE, &no_core);
	switch (how) {
	case 0:
		exit(0);
	case 1:
		_exit(1);
	case 2:
		quick_exit(2);
	case 3:
		abort();
	case 4:
		raise(SIGTERM);
		break;
	case 5:
		pthread_create(&t, NULL, in_thread, NULL);
		pthread_join(t, NULL);
		break;
	case 6:
		pthread_create(&t, NULL, in_thread, NULL);
		pthread_exit(NULL);
	}
}

int main(void)
{
	static uint8_t buf[TOTAL];

	alarm(30);
	conf_fill(buf, TOTAL, 0);
	for (int how = 0; how < 7; how++) {
		struct sockaddr_in sa;
		int lfd = conf_listen(&sa), fd;
		pid_t pid = conf_fork();

		if (pid == 0) {
			fd = conf_connect(&sa);
			conf_warm_client(fd);
			conf_put(fd, buf, TOTAL);
			end(how);
			_exit(99);
		}
		fd = accept(lfd, NULL, NULL);
		close(lfd);
		conf_warm_server(fd);
		conf_wait(pid);
		if (how == 3 || how == 4)
			conf_drain_killed(fd);
		else
			conf_drain(fd);
		close(fd);
	}
	return 0;
}
