/* SPDX-License-Identifier: MIT */
/* dup2 of a shut-down socket over one that a thread is reading from, as the
 * JDK does, after shutdown of the original. */
#include "conf.h"

static int a, b;
static long result;
static int error;

static void *reader(void *arg)
{
	char c;

	(void)arg;
	result = recv(b, &c, 1, 0);
	error = errno;
	return NULL;
}

int main(void)
{
	pthread_t t;
	int sv[2];
	char c;

	conf_pair(&a, &b);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sv) < 0)
		conf_die("socketpair");
	shutdown(sv[0], SHUT_RDWR);
	close(sv[1]);
	pthread_create(&t, NULL, reader, NULL);
	conf_ms(100);
	conf_res("shutdown", shutdown(b, SHUT_RDWR));
	conf_say("dup2: %s", dup2(sv[0], b) == b ? "yes" : "no");
	pthread_join(t, NULL);
	errno = error;
	conf_res("recv in the thread", result);
	conf_res("recv", recv(b, &c, 1, 0));
	conf_res("recv", recv(a, &c, 1, 0));
	return 0;
}
