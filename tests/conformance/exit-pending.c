/* SPDX-License-Identifier: MIT */
/* A process that writes and ends without closing; then one that is killed. */
#include "conf.h"

#define TOTAL 50000u

/* killed: where it was being switched just then, a record on its way to it has its
 * kernel send a reset, after the last byte (docs/differences.md). */
static void drain(int fd, bool killed)
{
	static uint8_t buf[TOTAL + 1];
	size_t sum = 0;
	ssize_t r;

	while ((r = recv(fd, buf + sum, sizeof(buf) - sum, 0)) > 0)
		sum += (size_t)r;
	if (killed && getenv("CONF_SWITCH") && r < 0 && errno == ECONNRESET)
		r = 0;
	conf_res("recv", r);
	conf_say("bytes %zu same %d", sum, conf_same(buf, sum, 0));
}

static void once(bool killed)
{
	static uint8_t buf[TOTAL];
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa), fd, status;
	pid_t pid = fork();

	if (pid == 0) {
		fd = conf_connect(&sa);
		conf_warm_client(fd);
		conf_fill(buf, TOTAL, 0);
		conf_put(fd, buf, TOTAL);
		if (killed)
			kill(getpid(), SIGKILL);
		_exit(0);
	}
	fd = accept(lfd, NULL, NULL);
	conf_warm_server(fd);
	waitpid(pid, &status, 0);
	drain(fd, killed);
	close(fd);
	close(lfd);
}

int main(void)
{
	alarm(60);
	once(false);
	once(true);
	return 0;
}
