/* SPDX-License-Identifier: MIT */
/* The server's child reads while its parent writes, both all the time. */
#include "split.h"

static void client(int fd)
{
	char c;

	split_warm_peer(fd);
	if (!split_both(fd) || recv(fd, &c, 1, 0) != 0)
		_exit(95);
	shutdown(fd, SHUT_WR);
	_exit(0);
}

int main(void)
{
	int told[2], fd;
	pid_t peer, reader;
	char c;

	if (pipe(told) < 0)
		conf_die("pipe");
	peer = split_begin(client, &fd);
	reader = conf_fork();
	if (reader == 0) {
		split_warm_reader(fd, told);
		if (!split_get(fd, 0, SPLIT_DOWN))
			_exit(97);
		_exit(recv(fd, &c, 1, 0) == 0 ? 0 : 96);
	}
	split_warm_writer(fd, told);
	split_put(fd, 0, SPLIT_UP);
	conf_res("WR", shutdown(fd, SHUT_WR));
	conf_wait(reader);
	conf_wait(peer);
	conf_res("recv", recv(fd, &c, 1, 0));
	conf_res("close", close(fd));
	return 0;
}
