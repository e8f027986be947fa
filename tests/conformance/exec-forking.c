/* SPDX-License-Identifier: MIT */
/* A thread forks while another one executes a program, both with the connection:
 * the child, if there is one, and the program use it in turns. */
#include "serve.h"

#define ROUNDS 40

static int to_child[2], to_parent[2], conn;

static void *forks(void *arg)
{
	const struct timespec ts = { .tv_nsec = *(int *)arg * 10000L };

	nanosleep(&ts, NULL);
	if (fork() == 0) {
		serve_await(to_child);
		serve_trips(conn);
		serve_tell(to_parent);
		_exit(0);
	}
	pause();
	return NULL;
}

/* The program; what it has been told are descriptors. */
static void executed(char **argv)
{
	int fd = atoi(argv[1]);

	to_child[1] = atoi(argv[2]);
	to_parent[0] = atoi(argv[3]);
	serve_trips(fd);
	if (waitpid(-1, NULL, WNOHANG) == 0) {
		serve_tell(to_child);
		serve_await(to_parent);
	} else {
		serve_trips(fd);
	}
	serve_trips(fd);
	while (waitpid(-1, NULL, 0) > 0)
		;
	serve_end(fd);
}

static void server(int delay)
{
	char num[3][16];
	char *argv[] = { (char *)"x", num[0], num[1], num[2], NULL };
	pthread_t thread;

	snprintf(num[0], sizeof(num[0]), "%d", conn);
	snprintf(num[1], sizeof(num[1]), "%d", to_child[1]);
	snprintf(num[2], sizeof(num[2]), "%d", to_parent[0]);
	if (pthread_create(&thread, NULL, forks, &delay))
		conf_die("thread");
	usleep(200);
	execv("/proc/self/exe", argv);
	_exit(93);
}

int main(int argc, char **argv)
{
	struct sockaddr_in sa;
	int lfd, a, b;

	alarm(60);
	if (argc > 1)
		executed(argv);
	conf_pair(&a, &b); /* there are rings to be had */
	close(a);
	close(b);
	alarm(60);
	lfd = conf_listen(&sa);
	if (pipe(to_child) < 0 || pipe(to_parent) < 0)
		conf_die("pipe");
	for (int i = 0; i < ROUNDS; i++) {
		pid_t client = serve_client(&sa, "ttt"), pid;

		/* Nobody else has ever had it. */
		pid = conf_fork();
		if (pid == 0) {
			conn = serve_accept(lfd);
			server(i);
		}
		conf_wait(client);
		conf_wait(pid);
	}
	return 0;
}
