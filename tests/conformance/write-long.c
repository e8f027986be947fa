/* SPDX-License-Identifier: MIT */
/* One write of many megabytes as the first of a connection: whatever way its
 * bytes go, it is one call, which a signal ends and a close of its number does
 * not. */
#include "conf.h"

#define SIZE 24000000u

static uint8_t data[SIZE];
static int from, to;

static void connected(void)
{
	struct sockaddr_in sa;
	int lfd = conf_listen(&sa);

	alarm(30);
	from = conf_connect(&sa);
	to = accept(lfd, NULL, NULL);
	close(lfd);
}

static void *drain(void *arg)
{
	static uint8_t buf[65536];
	size_t *sum = arg, pos = 0;
	bool same = true;
	ssize_t r;

	while ((r = recv(to, buf, sizeof(buf), 0)) > 0) {
		same = same && conf_same(buf, (size_t)r, pos);
		pos += (size_t)r;
	}
	*sum = same && r == 0 ? pos : 0;
	return NULL;
}

static long write_all(void)
{
	return write(from, data, SIZE);
}

static void in_one_go(void)
{
	pthread_t reader;
	size_t sum;

	connected();
	pthread_create(&reader, NULL, drain, &sum);
	conf_res("write", write_all());
	close(from);
	pthread_join(reader, NULL);
	conf_say("all there: %s", sum == SIZE ? "yes" : "no");
	close(to);
}

static void interrupted(void)
{
	struct conf_later l;
	pthread_t reader;
	size_t sum;
	ssize_t r;

	connected();
	conf_count(SIGUSR1, SA_RESTART);
	conf_later(&l, SIGUSR1, -1, NULL);
	r = write_all();
	conf_say("partly: %s", r > 0 && r < (ssize_t)SIZE ? "yes" : "no");
	pthread_join(l.thread, NULL);
	close(from);
	pthread_create(&reader, NULL, drain, &sum);
	pthread_join(reader, NULL);
	conf_say("so much is there: %s", sum == (size_t)r ? "yes" : "no");
	close(to);
}

static void number_closed(void)
{
	struct conf_sleeper s;
	pthread_t reader;
	size_t sum;

	connected();
	conf_start(&s, write_all);
	conf_res("close", close(from));
	pthread_create(&reader, NULL, drain, &sum);
	conf_join(&s, "write");
	pthread_join(reader, NULL);
	conf_say("all there: %s", sum == SIZE ? "yes" : "no");
	close(to);
}

static void timed(void)
{
	static const struct timeval tv = { .tv_usec = 200000 };
	pthread_t reader;
	size_t sum;
	ssize_t r;

	connected();
	setsockopt(from, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	r = write_all();
	conf_say("partly: %s", r > 0 && r < (ssize_t)SIZE ? "yes" : "no");
	close(from);
	pthread_create(&reader, NULL, drain, &sum);
	pthread_join(reader, NULL);
	conf_say("so much is there: %s", sum == (size_t)r ? "yes" : "no");
	close(to);
}

int main(void)
{
	conf_fill(data, SIZE, 0);
	in_one_go();
	interrupted();
	number_closed();
	timed();
	return 0;
}
