/* SPDX-License-Identifier: MIT */
/* poll's timeout, a set with strangers in it, and a wake-up from sleep. */
#include "conf.h"

static void server(int fd)
{
	conf_step();
	conf_ms(100);
	conf_put(fd, "x", 1);
	conf_step();
}

static void client(int fd)
{
	struct pollfd p[5];
	double start = conf_now(), took;
	int pfd[2], r;

	conf_poll(fd, POLLIN, 60);
	took = conf_now() - start;
	conf_say("60 ms: %s", took >= 0.059 && took < 0.5 ? "yes" : "no");
	if (pipe(pfd) < 0)
		conf_die("pipe");
	p[0] = (struct pollfd){ .fd = pfd[0], .events = POLLIN, .revents = 77 };
	p[1] = (struct pollfd){ .fd = -1, .events = POLLIN, .revents = 77 };
	p[2] = (struct pollfd){ .fd = fd, .events = POLLIN };
	p[3] = (struct pollfd){ .fd = 900, .events = POLLIN };
	p[4] = (struct pollfd){ .fd = fd, .events = POLLOUT };
	r = poll(p, 5, 0);
	conf_res("poll", r);
	for (int i = 0; i < 5; i++)
		conf_say("  %d: %s", i, conf_bits((unsigned short)p[i].revents));
	conf_step();
	r = poll(p, 3, 5000);
	conf_res("poll", r);
	for (int i = 0; i < 3; i++)
		conf_say("  %d: %s", i, conf_bits((unsigned short)p[i].revents));
	if (write(pfd[1], "y", 1) != 1)
		conf_die("write");
	r = poll(p, 3, 5000);
	conf_res("poll", r);
	for (int i = 0; i < 3; i++)
		conf_say("  %d: %s", i, conf_bits((unsigned short)p[i].revents));
	conf_step();
}

int main(void)
{
	return conf_two(server, client);
}
