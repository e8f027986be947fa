/* SPDX-License-Identifier: MIT */
/*
 * Two ends of a connection, in step and warmed up.
 */
#ifndef CONF_PAIR_H
#define CONF_PAIR_H

#include "conf-io.h"

/* ---- both ends in step ---- */

CONF_UNUSED static void conf_step(void)
{
	char c = 's';

	if (write(conf_step_fd, &c, 1) != 1 || read(conf_step_fd, &c, 1) != 1)
		conf_die("step");
}

/* ---- warming up ---- */

CONF_UNUSED static bool conf_on_ring(int fd)
{
	struct xvmc_fd_info info = { .size = sizeof(info) };
	int (*get)(int, struct xvmc_fd_info *);

	*(void **)&get = dlsym(RTLD_DEFAULT, "xvmc_fd_info");
	return get && get(fd, &info) == 0 && info.tx.path == XVMC_FD_RING &&
	       info.rx.path == XVMC_FD_RING;
}

/* True when the client has seen enough. */
static bool warm_enough(int fd, int trips, double start)
{
	const char *want = getenv("CONF_RING");

	if (trips < CONF_WARM_TRIPS)
		return false;
	if (!want || *want != '1' || conf_on_ring(fd))
		return true;
	if (conf_now() - start > CONF_WARM_MS / 1000.0) {
		fprintf(stderr, "%snot on rings after %d ms\n", conf_role, CONF_WARM_MS);
		exit(98);
	}
	conf_ms(1);
	return false;
}

CONF_UNUSED static void conf_warm_client(int fd)
{
	char msg[64] = "warm";
	double start = conf_now();
	int trips = 0;
	bool enough;

	do {
		enough = warm_enough(fd, trips++, start);
		msg[0] = enough ? 'g' : 'w';
		conf_put(fd, msg, sizeof(msg));
		conf_get(fd, msg, sizeof(msg));
	} while (!enough);
}

CONF_UNUSED static void conf_warm_server(int fd)
{
	char msg[64];

	do {
		conf_get(fd, msg, sizeof(msg));
		conf_put(fd, msg, sizeof(msg));
	} while (msg[0] != 'g');
}

/* ---- making connections ---- */

CONF_UNUSED static int conf_listen(struct sockaddr_in *ret_sa)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(fd, 16) < 0 || getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		conf_die("listen");
	*ret_sa = sa;
	return fd;
}

CONF_UNUSED static int conf_connect(const struct sockaddr_in *sa)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)sa, sizeof(*sa)) < 0)
		conf_die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* Both ends in this process, warm. */
CONF_UNUSED static void conf_pair(int *ret_a, int *ret_b)
{
	struct sockaddr_in sa;
	double start = conf_now();
	int lfd = conf_listen(&sa), trips = 0, one = 1;
	char msg[64] = "warm";
	bool enough;

	alarm(30);
	*ret_a = conf_connect(&sa);
	*ret_b = accept(lfd, NULL, NULL);
	if (*ret_b < 0)
		conf_die("accept");
	setsockopt(*ret_b, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	close(lfd);
	do { /* once more after it is enough: the ring's first bytes */
		enough = warm_enough(*ret_a, trips++, start);
		conf_put(*ret_a, msg, sizeof(msg));
		conf_get(*ret_b, msg, sizeof(msg));
		conf_put(*ret_b, msg, sizeof(msg));
		conf_get(*ret_a, msg, sizeof(msg));
	} while (!enough);
}

static void conf_copy(int fd, FILE *to)
{
	char buf[4096];
	ssize_t r;

	while ((r = read(fd, buf, sizeof(buf))) > 0)
		fwrite(buf, 1, (size_t)r, to);
}

/*
 * Server and client in two processes over a warm connection. What the server
 * says is printed after what the client says.
 */
CONF_UNUSED static int conf_two(void (*server)(int fd), void (*client)(int fd))
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), step[2], out[2], status, fd, one = 1;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, step) < 0 || pipe(out) < 0)
		conf_die("socketpair");
	fflush(NULL);
	pid = fork();
	if (pid < 0)
		conf_die("fork");
	if (pid == 0) {
		alarm(30);
		conf_role = "S: ";
		close(out[0]);
		close(step[0]);
		conf_out = fdopen(out[1], "w");
		conf_step_fd = step[1];
		fd = accept(lfd, NULL, NULL);
		if (fd < 0)
			conf_die("accept");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		close(lfd);
		conf_warm_server(fd);
		server(fd);
		fclose(conf_out);
		exit(0);
	}
	alarm(30);
	conf_role = "C: ";
	close(out[1]);
	close(step[1]);
	close(lfd);
	conf_step_fd = step[0];
	fd = conf_connect(&sa);
	conf_warm_client(fd);
	client(fd);
	fflush(stdout);
	conf_copy(out[0], stdout);
	if (waitpid(pid, &status, 0) != pid)
		conf_die("waitpid");
	if (status) {
		fprintf(stderr, "the server ended with status %#x\n",
			(unsigned int)status);
		return 1;
	}
	return 0;
}

/* So many round trips, of which nothing is said: enough make a connection worth a
 * ring. */
CONF_UNUSED static void conf_trips(int a, int b, int n)
{
	char buf[64] = "";

	while (n-- > 0) {
		conf_put(a, buf, sizeof(buf));
		conf_get(b, buf, sizeof(buf));
		conf_put(b, buf, sizeof(buf));
		conf_get(a, buf, sizeof(buf));
	}
}

/* A round trip between two ends that this process holds. */
CONF_UNUSED static void conf_trip(int a, int b)
{
	char buf[8] = "";

	conf_put(a, "ping", 4);
	conf_get(b, buf, 4);
	conf_put(b, "pong", 4);
	conf_get(a, buf + 4, 4);
	conf_say("trip: %.8s", buf);
}

#endif
