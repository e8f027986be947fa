/* SPDX-License-Identifier: MIT */
/* What ends the wait of a close with SO_LINGER: its time, a signal; and where
 * all has arrived there is none. What was sent arrives whatever ended it. */
#include "conf.h"

static int reader;

static int lingering(int seconds)
{
	const struct linger linger = { 1, seconds };
	int fd;

	conf_pair(&fd, &reader);
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	return fd;
}

static void all_there(size_t want)
{
	static uint8_t buf[65536];
	bool same = true;
	size_t pos = 0;
	ssize_t n;

	while ((n = recv(reader, buf, sizeof(buf), 0)) > 0) {
		same = same && conf_same(buf, (size_t)n, pos);
		pos += (size_t)n;
	}
	conf_res("recv", n);
	conf_say("all there: %s", same && pos == want ? "yes" : "no");
	close(reader);
}

static void by_its_time(void)
{
	int fd = lingering(1);
	size_t n = conf_stuff(fd, 0);
	double start = conf_now();

	conf_res("close", close(fd));
	conf_say("a second: %s", conf_now() - start > 0.95 ? "yes" : "no");
	all_there(n);
}

static void by_a_signal(void)
{
	int fd = lingering(25);
	size_t n = conf_stuff(fd, 0);
	double start = conf_now();
	struct conf_later l;

	conf_count(SIGUSR1, SA_RESTART);
	conf_later(&l, SIGUSR1, -1, NULL);
	conf_res("close", close(fd));
	conf_say("soon after the signal: %s", conf_now() - start < 12 ? "yes" : "no");
	pthread_join(l.thread, NULL);
	conf_say("signals %d", (int)conf_signals);
	all_there(n);
}

static void at_once(void)
{
	int fd = lingering(25);
	uint8_t buf[100];
	double start;

	conf_fill(buf, sizeof(buf), 0);
	conf_put(fd, buf, sizeof(buf));
	start = conf_now();
	conf_res("close", close(fd));
	conf_say("at once: %s", conf_now() - start < 12 ? "yes" : "no");
	all_there(sizeof(buf));
}

int main(void)
{
	by_its_time();
	by_a_signal();
	at_once();
	return 0;
}
