/* SPDX-License-Identifier: MIT */
/* Signals without end, whose handler uses the very connection that the main
 * program streams through. */
#include "conf.h"

#define TRIPS 3000

static int a, b;
static volatile sig_atomic_t in, out;

static void handler(int sig)
{
	char c;

	(void)sig;
	/* Nothing of the stream's: a byte the other way. */
	if (send(b, "h", 1, MSG_DONTWAIT) == 1)
		in = in + 1;
	while (recv(a, &c, 1, MSG_DONTWAIT) == 1)
		out = out + 1;
}

int main(void)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = SA_RESTART };
	struct itimerval every = { { 0, 300 }, { 0, 300 } }, never = { 0 };
	uint8_t buf[100];
	char c;

	conf_pair(&a, &b);
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	for (uint64_t i = 0; i < TRIPS; i++) {
		conf_fill(buf, sizeof(buf), i * sizeof(buf));
		conf_put(a, buf, sizeof(buf));
		conf_get(b, buf, sizeof(buf));
		if (!conf_same(buf, sizeof(buf), i * sizeof(buf)))
			conf_say("wrong content");
	}
	setitimer(ITIMER_REAL, &never, NULL);
	while (out < in) {
		conf_get(a, &c, 1);
		out = out + 1;
	}
	conf_say("as many came as went: %d", in == out);
	return 0;
}
