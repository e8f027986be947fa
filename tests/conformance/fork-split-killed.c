/* SPDX-License-Identifier: MIT */
/* The child that reads is killed when it has read all there is: the parent goes
 * on writing, and the end of the stream is one. */
#include "split.h"

static void client(int fd)
{
	char c;

	split_warm_peer(fd);
	if (!split_both(fd))
		_exit(95);
	_exit(split_get(fd, 0, SPLIT_UP) && recv(fd, &c, 1, 0) == 0 ? 0 : 94);
}

int main(void)
{
	pid_t peer, reader;
	int told[2], fd;

	if (pipe(told) < 0)
		conf_die("pipe");
	peer = split_begin(client, &fd);
	reader = conf_fork();
	if (reader == 0) {
		split_warm_reader(fd, told);
		if (!split_get(fd, 0, SPLIT_DOWN))
			_exit(97);
		kill(getpid(), SIGKILL);
	}
	split_warm_writer(fd, told);
	split_put(fd, 0, SPLIT_UP);
	conf_wait(reader);
	split_put(fd, 0, SPLIT_UP);
	conf_res("close", close(fd));
	conf_wait(peer);
	return 0;
}
