/* SPDX-License-Identifier: MIT */
/* SIGPIPE for each way of writing into a direction that was shut down. */
#include "conf.h"

static volatile sig_atomic_t pipes;

static void on_pipe(int sig)
{
	(void)sig;
	pipes = pipes + 1;
}

int main(void)
{
	struct iovec vec = { "x", 1 };
	struct msghdr msg = { .msg_iov = &vec, .msg_iovlen = 1 };
	int a, b;

	signal(SIGPIPE, on_pipe);
	conf_pair(&a, &b);
	shutdown(a, SHUT_WR);
	conf_res("write", write(a, "x", 1));
	conf_say("SIGPIPE %d", (int)pipes);
	conf_res("writev", writev(a, &vec, 1));
	conf_say("SIGPIPE %d", (int)pipes);
	conf_res("send", send(a, "x", 1, 0));
	conf_say("SIGPIPE %d", (int)pipes);
	conf_res("send NOSIGNAL", send(a, "x", 1, MSG_NOSIGNAL));
	conf_say("SIGPIPE %d", (int)pipes);
	conf_res("sendmsg", sendmsg(a, &msg, 0));
	conf_say("SIGPIPE %d", (int)pipes);
	conf_res("write 0", write(a, "x", 0));
	conf_say("SIGPIPE %d", (int)pipes);
	return 0;
}
