/* SPDX-License-Identifier: MIT */
/*
 * A child reads while its parent writes, until it ends with bytes unread: these
 * the parent reads. Then another child writes while the parent reads, and the
 * parent does the last round trips alone.
 */
#include "split.h"

#define FIRST 60000u
#define PART 25000u

static void client(int fd)
{
	uint8_t c;

	split_warm_peer(fd);
	split_put(fd, 0, FIRST);
	if (!split_get(fd, 0, SPLIT_UP))
		_exit(95);
	split_put(fd, 0, SPLIT_DOWN);
	if (!split_get(fd, 0, SPLIT_UP))
		_exit(94);
	conf_warm_client(fd);
	client_trips(fd);
	shutdown(fd, SHUT_WR);
	_exit(recv(fd, &c, 1, 0) == 0 ? 0 : 93);
}

int main(void)
{
	pid_t peer, child;
	int told[2], fd;
	char c;

	if (pipe(told) < 0)
		conf_die("pipe");
	peer = split_begin(client, &fd);
	child = conf_fork();
	if (child == 0) {
		split_warm_reader(fd, told);
		_exit(split_get(fd, 0, PART) ? 0 : 97);
	}
	split_warm_writer(fd, told);
	conf_wait(child);
	conf_say("same %d", split_get(fd, PART, FIRST - PART));
	split_put(fd, 0, SPLIT_UP);
	child = conf_fork();
	if (child == 0) {
		split_put(fd, 0, SPLIT_UP);
		_exit(0);
	}
	conf_say("same %d", split_get(fd, 0, SPLIT_DOWN));
	conf_wait(child);
	conf_warm_server(fd);
	serve_trips(fd);
	conf_res("recv", recv(fd, &c, 1, 0));
	conf_res("close", close(fd));
	conf_wait(peer);
	return 0;
}
