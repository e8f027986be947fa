/* SPDX-License-Identifier: MIT */
/* What the process that writes sets of the socket is in force for the child that
 * reads. */
#include "split.h"

static void client(int fd)
{
	char c;

	split_warm_peer(fd);
	_exit(recv(fd, &c, 1, 0) == 0 ? 0 : 95);
}

int main(void)
{
	const struct timeval timeo = { .tv_usec = 50000 };
	int told[2], back[2], fd;
	pid_t peer, reader;
	char c;

	if (pipe(told) < 0 || pipe(back) < 0)
		conf_die("pipe");
	peer = split_begin(client, &fd);
	reader = conf_fork();
	if (reader == 0) {
		split_warm_reader(fd, told);
		serve_await(back);
		conf_res("recv", recv(fd, &c, 1, 0));
		serve_tell(told);
		serve_await(back);
		conf_res("recv", recv(fd, &c, 1, 0));
		_exit(0);
	}
	split_warm_writer(fd, told);
	conf_nonblock(fd, true);
	serve_tell(back);
	serve_await(told);
	conf_nonblock(fd, false);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeo, sizeof(timeo));
	serve_tell(back);
	conf_wait(reader);
	conf_res("close", close(fd));
	conf_wait(peer);
	return 0;
}
