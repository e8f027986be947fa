/* SPDX-License-Identifier: MIT */
/* SO_RCVTIMEO and SO_SNDTIMEO, set before and while on a ring. */
#include "conf.h"

static void timeo(int fd, int name, int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	conf_res("setsockopt", setsockopt(fd, SOL_SOCKET, name, &tv, sizeof(tv)));
}

static void timed(const char *what, double start, double least)
{
	double took = conf_now() - start;

	conf_say("%s: %s", what,
		 took >= least - 0.011 && took < least + 5 ? "in time" : "not in time");
}

int main(void)
{
	static char buf[1 << 20];
	double start;
	int a, b;

	conf_pair(&a, &b);
	timeo(b, SO_RCVTIMEO, 100);
	start = conf_now();
	conf_res("recv", recv(b, buf, 4, 0));
	timed("recv", start, 0.1);
	conf_put(a, "ab", 2);
	start = conf_now();
	conf_res("recv WAITALL", recv(b, buf, 4, MSG_WAITALL));
	timed("recv WAITALL", start, 0.1);
	timeo(b, SO_RCVTIMEO, 0);
	conf_put(a, "ab", 2);
	conf_res("recv", recv(b, buf, 4, 0));
	timeo(a, SO_SNDTIMEO, 100);
	conf_stuff(a, 0);
	start = conf_now();
	conf_res("send", send(a, buf, sizeof(buf), 0));
	timed("send", start, 0.1);
	return 0;
}
