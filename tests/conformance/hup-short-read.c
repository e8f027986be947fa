/* SPDX-License-Identifier: MIT */
/* Once told of the end, a program may take a short read for the last one:
 * though the stream went to TCP and to a ring again before it ended, and the
 * reader had read none of it. */
#include "conf.h"

#define SIZE 60000u /* by TCP, and half of it by ring */
#define PIECE 40000u

/* A moment at most: while all is moved all the time it need not come. */
static void wait_tx_on(int fd, uint32_t path)
{
	for (int i = 0; i < 300 && !conf_tx_on(fd, path); i++)
		conf_ms(1);
}

static void put(int fd, uint64_t pos, size_t n)
{
	static uint8_t buf[SIZE];

	conf_fill(buf, n, pos);
	conf_put(fd, buf, n);
}

static void server(int fd)
{
	char c;

	conf_step();
	conf_steer(fd, false);
	wait_tx_on(fd, XVMC_FD_TCP);
	put(fd, 0, SIZE);
	conf_steer(fd, true);
	wait_tx_on(fd, XVMC_FD_RING);
	put(fd, SIZE, SIZE / 2);
	conf_step();
	conf_res("the other end", read(fd, &c, 1));
	shutdown(fd, SHUT_WR);
	conf_step();
	conf_step();
}

static void client(int fd)
{
	static uint8_t buf[PIECE];
	struct pollfd pfd = { .fd = fd, .events = POLLIN | POLLRDHUP };
	size_t sum = 0;
	bool same = true;
	ssize_t r;

	conf_nonblock(fd, true);
	conf_step();
	conf_step(); /* all is written */
	shutdown(fd, SHUT_WR);
	conf_step();
	for (int i = 0; i < 5000 && !(pfd.revents & POLLHUP); i++) {
		poll(&pfd, 1, 0);
		conf_ms(1);
	}
	do {
		r = read(fd, buf, sizeof(buf));
		if (r > 0) {
			same = same && conf_same(buf, (size_t)r, sum);
			sum += (size_t)r;
		}
	} while (r == (ssize_t)sizeof(buf));
	conf_say("up to the first short read: %zu bytes, %s", sum,
		 same ? "the right ones" : "wrong ones");
	conf_step();
}

int main(void)
{
	return conf_two(server, client);
}
