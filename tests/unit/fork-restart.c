/* SPDX-License-Identifier: MIT */
/*
 * A child reads from a ring, its parent writes. When the one who runs it says so,
 * which may have done anything to xvmcd meanwhile, the parent reads the rest.
 */
#include "split.h"

#define PART 1000u

static void client(int fd)
{
	char c;

	split_warm_peer(fd);
	split_put(fd, 0, PART);
	if (!split_get(fd, 0, PART))
		_exit(95);
	split_put(fd, PART, PART);
	_exit(recv(fd, &c, 1, 0) == 0 ? 0 : 94);
}

static bool wait_for(int fd, short event)
{
	struct pollfd pfd = { .fd = fd, .events = event };

	return poll(&pfd, 1, 15000) == 1;
}

int main(void)
{
	int told[2], back[2], fd;
	pid_t peer, reader;
	uint8_t buf[PART];
	ssize_t r;
	char c;

	if (pipe(told) < 0 || pipe(back) < 0)
		conf_die("pipe");
	peer = split_begin(client, &fd);
	reader = conf_fork();
	if (reader == 0) {
		split_warm_reader(fd, told);
		_exit(split_get(fd, 0, PART) && write(told[1], "x", 1) == 1 &&
				      read(back[0], &c, 1) == 1 ? 0 : 97);
	}
	split_warm_writer(fd, told);
	serve_await(told);
	conf_say("ready");
	if (!wait_for(0, POLLIN))
		conf_die("go");
	/* There is nothing yet: but whoever reads has it to leave the ring. */
	r = recv(fd, buf, 1, MSG_DONTWAIT);
	if (r >= 0 || errno != EAGAIN)
		conf_die("recv");
	split_put(fd, 0, PART);
	conf_say("same %d", split_get(fd, PART, PART));
	serve_tell(back);
	conf_wait(reader);
	close(fd);
	conf_wait(peer);
	return 0;
}
