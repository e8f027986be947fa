/* SPDX-License-Identifier: MIT */
/* The child that reads is killed when it has read all there is: the parent goes
 * on writing, and the end of the stream is one. */
#include "split.h"

static int got[2];

/* To the end. Where the connection is switched all the time, a record may have
 * been on its way to the child when it was killed: to the kernel that is unread,
 * and the parent's close a reset (docs/differences.md). */
static bool rest(int fd)
{
	static uint8_t buf[50000];
	size_t pos = 0;
	ssize_t r;

	while ((r = recv(fd, buf, sizeof(buf), 0)) > 0) {
		if (!conf_same(buf, (size_t)r, pos))
			return false;
		pos += (size_t)r;
	}
	if (r < 0)
		return errno == ECONNRESET && getenv("CONF_SWITCH");
	return pos == SPLIT_UP;
}

static void client(int fd)
{
	split_warm_peer(fd);
	if (!split_both(fd))
		_exit(95);
	serve_tell(got);
	_exit(rest(fd) ? 0 : 94);
}

int main(void)
{
	pid_t peer, reader;
	int told[2], fd;

	if (pipe(told) < 0 || pipe(got) < 0)
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
	serve_await(got);
	split_put(fd, 0, SPLIT_UP);
	conf_res("close", close(fd));
	conf_wait(peer);
	return 0;
}
