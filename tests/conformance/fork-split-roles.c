/* SPDX-License-Identifier: MIT */
/*
 * A parent and its child use a connection at once, one reading and the other
 * writing, and change places again and again, with as much on its way as there
 * is room for; now and then one of them does both.
 */
#include "split.h"

#define PHASES 20
#define DOWN (SPLIT_DOWN / PHASES)
#define UP (SPLIT_UP / PHASES)

static void client(int fd)
{
	char c;

	split_warm_peer(fd);
	_exit(split_both(fd) && recv(fd, &c, 1, 0) == 0 ? 0 : 95);
}

/* who: 0 the parent, 1 the child. */
static bool play(int fd, int who, const int mine[2], const int other[2])
{
	bool same = true;

	for (int i = 0; i < PHASES; i++) {
		int writer = i / 2 % 2, reader = i % 4 == 3 ? writer : !writer;

		if (who == writer)
			split_put(fd, i * UP, UP);
		if (who == reader)
			same = split_get(fd, i * DOWN, DOWN) && same;
		serve_tell(other);
		serve_await(mine);
	}
	return same;
}

int main(void)
{
	int told[2], back[2], fd;
	pid_t peer, child;

	if (pipe(told) < 0 || pipe(back) < 0)
		conf_die("pipe");
	peer = split_begin(client, &fd);
	child = conf_fork();
	if (child == 0) {
		split_warm_reader(fd, told);
		_exit(play(fd, 1, back, told) ? 0 : 97);
	}
	split_warm_writer(fd, told);
	conf_say("same %d", play(fd, 0, told, back));
	conf_wait(child);
	conf_res("close", close(fd));
	conf_wait(peer);
	return 0;
}
