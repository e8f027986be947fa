/* SPDX-License-Identifier: MIT */
/*
 * A handler reads what the call that it interrupted, of the same connection, was
 * waiting for; that call gets what comes after. Where the connection can be
 * steered, it goes to its ring while the handler runs.
 */
#include "conf.h"

#define ROUNDS 24

enum call { RECV, RECV_SOME, RECV_PEEK, POLL, SELECT, CALLS };

static int a, b;
static _Atomic bool handled;

static void steer(bool ring)
{
	if (!getenv("CONF_RING")) {
		conf_ms(5);
		return;
	}
	conf_steer(a, ring);
	/* Not by what b sends as well: its reader is inside the kernel. */
	for (int ms = 0; ms < 1000 && !conf_tx_on(a, ring ? XVMC_FD_RING : XVMC_FD_TCP); ms++)
		conf_ms(1);
	conf_ms(ring ? 0 : 20); /* and the connection is plain again */
}

static void handler(int sig)
{
	char buf[8] = "";

	(void)sig;
	steer(true);
	conf_put(a, "stolen", 6);
	if (recv(b, buf, 6, MSG_WAITALL) != 6)
		conf_say("handler: %s", strerror(errno));
	conf_say("handler: %s", buf);
	handled = true;
}

static void *late(void *arg)
{
	const pid_t *tid = arg;

	while (!handled)
		conf_ms(1);
	conf_asleep(*tid);
	conf_put(a, "late", 4);
	return NULL;
}

static void waits(enum call call, bool restart)
{
	struct pollfd pfd = { .fd = b, .events = POLLIN };
	fd_set set;
	char buf[16] = "";
	ssize_t r;

	do {
		FD_ZERO(&set);
		FD_SET(b, &set);
		if (call == POLL)
			conf_res("poll", poll(&pfd, 1, -1));
		if (call == SELECT)
			conf_res("select", select(b + 1, &set, NULL, NULL, NULL));
		if (call == RECV_PEEK)
			conf_res("peek", recv(b, buf, 1, MSG_PEEK));
	} while (call >= RECV_PEEK && !handled);
	r = recv(b, buf, call == RECV_SOME ? 8 : 4, MSG_WAITALL);
	/* Without SA_RESTART the call ends with what it had. */
	conf_res(restart ? "recv" : "recv, interrupted", r);
	conf_say("%s", buf);
	if (r < 4)
		conf_res("recv", recv(b, buf, 4, MSG_WAITALL));
	else if (call == RECV_SOME && r < 8)
		conf_res("recv", recv(b, buf, 4, MSG_WAITALL));
}

int main(void)
{
	struct sigaction sa = { .sa_handler = handler };
	pid_t tid = gettid();
	struct conf_later l;
	pthread_t thread;

	conf_pair(&a, &b);
	for (int i = 0; i < ROUNDS; i++) {
		enum call call = (enum call)(i % CALLS);

		steer(false);
		handled = false;
		sa.sa_flags = i % 2 ? SA_RESTART : 0;
		sigaction(SIGUSR1, &sa, NULL);
		if (call == RECV_SOME)
			conf_put(a, "some", 4);
		conf_later(&l, SIGUSR1, -1, NULL);
		if (pthread_create(&thread, NULL, late, &tid) != 0)
			conf_die("pthread_create");
		waits(call, i % 2);
		pthread_join(l.thread, NULL);
		pthread_join(thread, NULL);
	}
	return 0;
}
