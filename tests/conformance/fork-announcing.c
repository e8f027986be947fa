/* SPDX-License-Identifier: MIT */
/* A child sends by its parent's connection, while bytes come by a ring and the
 * other direction is still asking for one. */
#include "conf.h"

#define ROUNDS 10
#define UNREAD 100

/* 1: it did. */
static int child_sends(int fd)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		conf_die("fork");
	if (pid == 0)
		_exit(send(fd, "ping", 4, MSG_NOSIGNAL) == 4);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		conf_die("waitpid");
	return WEXITSTATUS(status);
}

int main(void)
{
	char buf[UNREAD] = "";
	int a, b, bad = 0;

	for (int i = 0; i < ROUNDS; i++) {
		conf_pair(&a, &b);
		conf_steer(a, false);
		conf_steer(b, false);
		for (int ms = 0; ms < 300 && (conf_on_ring(a) || conf_tx_on(b, XVMC_FD_RING)); ms++)
			conf_ms(1);
		/* While they are unread, a record behind them is not let in. */
		conf_put(a, buf, UNREAD);
		conf_steer(a, true);
		conf_steer(b, true);
		for (int ms = 0; ms < 300 && !conf_tx_on(b, XVMC_FD_RING); ms++)
			conf_ms(1);
		conf_ms(i);
		bad += child_sends(a) != 1;
		conf_get(b, buf, UNREAD);
		conf_get(b, buf, 4);
		bad += memcmp(buf, "ping", 4) != 0;
		conf_put(b, "pong", 4);
		conf_get(a, buf, 4);
		bad += memcmp(buf, "pong", 4) != 0;
		close(a);
		close(b);
	}
	conf_say("bad: %d", bad);
	return 0;
}
