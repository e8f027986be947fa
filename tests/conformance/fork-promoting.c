/* SPDX-License-Identifier: MIT */
/*
 * A child uses a connection that was on TCP when it was born, and that its
 * parent is just moving to a ring.
 */
#include "conf.h"

static int (*promote)(int), (*demote)(int);

static void turn(int delay_us, int *failed)
{
	bool moves = demote && promote && getenv("CONF_RING");
	int a, b, status = -1, go[2];
	char c = 0;
	pid_t pid;

	conf_pair(&a, &b);
	if (pipe(go) < 0)
		conf_die("pipe");
	if (moves) {
		demote(a);
		demote(b);
		for (int ms = 0; ms < CONF_WARM_MS && conf_on_ring(a); ms++)
			conf_ms(1);
		conf_ms(3);
		promote(a);
		promote(b);
		usleep((useconds_t)delay_us);
	}
	pid = conf_fork();
	if (pid == 0) {
		if (read(go[0], &c, 1) != 1)
			_exit(98);
		_exit(send(a, "x", 1, MSG_NOSIGNAL) == 1 ? 0 : errno);
	}
	/* The child's use shall meet the move, or come after it. */
	for (double end = conf_now() + 0.1;
	     moves && conf_now() < end && !conf_on_ring(a);)
		conf_ms(1);
	if (write(go[1], "g", 1) != 1 || waitpid(pid, &status, 0) != pid)
		conf_die("waitpid");
	if (status)
		fprintf(stderr, "%d us: %#x\n", delay_us, (unsigned int)status);
	*failed += status != 0 || recv(b, &c, 1, 0) != 1 || c != 'x';
	close(a);
	close(b);
	close(go[0]);
	close(go[1]);
}

int main(void)
{
	int failed = 0;

	*(void **)&promote = dlsym(RTLD_DEFAULT, "xvmc_promote");
	*(void **)&demote = dlsym(RTLD_DEFAULT, "xvmc_demote");
	for (int us = 0; us < 400; us += 100)
		turn(us, &failed);
	conf_say("failed: %d", failed);
	return 0;
}
