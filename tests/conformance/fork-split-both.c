/* SPDX-License-Identifier: MIT */
/* As fork-split, but at both ends two processes use the connection at once: it
 * has been on rings before. */
#include "split.h"

/* A child reads, this one writes. */
static pid_t split(int fd, size_t down, size_t up)
{
	pid_t pid = conf_fork();
	char c;

	if (pid == 0) {
		if (!split_get(fd, 0, down))
			_exit(97);
		_exit(recv(fd, &c, 1, 0) == 0 ? 0 : 96);
	}
	split_put(fd, 0, up);
	shutdown(fd, SHUT_WR);
	return pid;
}

static void client(int fd)
{
	pid_t pid;

	conf_warm_client(fd);
	pid = split(fd, SPLIT_UP, SPLIT_DOWN);
	conf_wait(pid);
	_exit(0);
}

int main(void)
{
	pid_t peer, reader;
	int fd;

	peer = split_begin(client, &fd);
	conf_warm_server(fd);
	reader = split(fd, SPLIT_DOWN, SPLIT_UP);
	conf_wait(reader);
	conf_wait(peer);
	conf_res("close", close(fd));
	return 0;
}
