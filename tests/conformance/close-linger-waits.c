/* SPDX-License-Identifier: MIT */
/* SO_LINGER with a time: whoever closes with bytes that cannot go out waits for
 * the reader to make room, whatever O_NONBLOCK says. */
#include "conf.h"

#define LINGER_S 20

struct reader {
	int fd;
	size_t want;
	bool same;
};

/* Begins late, and reads to the end. */
static void *reader_main(void *arg)
{
	struct reader *r = arg;
	static uint8_t buf[65536];
	size_t pos = 0;
	ssize_t n;

	conf_ms(300);
	r->same = true;
	while ((n = recv(r->fd, buf, sizeof(buf), 0)) > 0) {
		r->same = r->same && conf_same(buf, (size_t)n, pos);
		pos += (size_t)n;
	}
	r->same = r->same && n == 0 && pos == r->want;
	return NULL;
}

static long by_close(int fd)
{
	return close(fd);
}

static long by_close_nonblock(int fd)
{
	conf_nonblock(fd, true);
	return close(fd);
}

static long by_dup2(int fd)
{
	long r = dup2(STDIN_FILENO, fd) == fd ? 0 : -1;

	close(fd);
	return r;
}

static void try(const char *what, long (*end)(int fd))
{
	static const struct linger linger = { 1, LINGER_S };
	struct reader r;
	pthread_t thread;
	double start;
	int fd;

	conf_pair(&fd, &r.fd);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	r.want = conf_stuff(fd, 0);
	start = conf_now();
	pthread_create(&thread, NULL, reader_main, &r);
	conf_res(what, end(fd));
	conf_say("waited for the reader: %s", conf_now() - start < 0.25	   ? "no" :
					      conf_now() - start < LINGER_S / 2 ? "yes" :
										  "for ever");
	pthread_join(thread, NULL);
	conf_say("all there: %s", r.same ? "yes" : "no");
	close(r.fd);
}

int main(void)
{
	try("close", by_close);
	try("close, not blocking", by_close_nonblock);
	try("dup2", by_dup2);
	return 0;
}
