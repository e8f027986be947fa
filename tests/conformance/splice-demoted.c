/* SPDX-License-Identifier: MIT */
/* Splice out of a connection with much unread that was on a ring just now:
 * into a pipe with little room, and into one that is not to be waited for. */
#include "conf.h"

#define SIZE 100000u

static int a, b, p[2];

/* Everything unread is on its way through plain TCP. */
static void leave_ring(void)
{
	int (*demote)(int);

	*(void **)&demote = dlsym(RTLD_DEFAULT, "xvmc_demote");
	if (!demote)
		return;
	demote(a);
	demote(b);
	for (int ms = 0; ms < CONF_WARM_MS && conf_on_ring(b); ms++)
		conf_ms(1);
	conf_ms(20);
}

static size_t through(size_t left, unsigned int flags)
{
	static uint8_t buf[SIZE];
	size_t pos = 0;

	while (pos < left) {
		ssize_t n = splice(b, NULL, p[1], NULL, left - pos, flags), r;

		if (n < 0 && errno == EAGAIN && (flags & SPLICE_F_NONBLOCK)) {
			conf_poll(b, POLLIN, 2000);
			continue;
		}
		if (n <= 0)
			return (size_t)conf_res("splice", n);
		for (ssize_t got = 0; got < n; got += r) {
			r = read(p[0], buf + pos + got, (size_t)(n - got));
			if (r <= 0)
				conf_die("read");
		}
		pos += (size_t)n;
	}
	return conf_same(buf, pos, 0) ? pos : 0;
}

static void *writer(void *arg)
{
	conf_put(a, arg, SIZE);
	return NULL;
}

/* A pair with so little room in TCP that what was on the ring does not fit. */
static pthread_t start(uint8_t *buf)
{
	int small = 4096;
	pthread_t t;

	conf_pair(&a, &b);
	setsockopt(a, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	setsockopt(b, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	pthread_create(&t, NULL, writer, buf);
	conf_ms(50);
	leave_ring();
	return t;
}

static void finish(pthread_t t)
{
	pthread_join(t, NULL);
	conf_trip(a, b);
	close(a);
	close(b);
}

int main(void)
{
	static uint8_t buf[SIZE];
	pthread_t t;

	conf_fill(buf, SIZE, 0);
	if (pipe(p) < 0)
		conf_die("pipe");
	fcntl(p[1], F_SETPIPE_SZ, 4096);
	t = start(buf);
	conf_say("through: %zu", through(SIZE, 0));
	finish(t);
	t = start(buf);
	if (write(p[1], "x", 1) != 1)
		conf_die("write");
	conf_res("no room", splice(b, NULL, p[1], NULL, SIZE, SPLICE_F_NONBLOCK));
	if (read(p[0], (char[1]){ 0 }, 1) != 1)
		conf_die("read");
	conf_say("through: %zu", through(SIZE, SPLICE_F_NONBLOCK));
	finish(t);
	t = start(buf);
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	conf_res("no reader", splice(b, NULL, p[1], NULL, SIZE, 0));
	/* The writer is left to the end of the process. */
	return 0;
}
