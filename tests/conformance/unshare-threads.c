/* SPDX-License-Identifier: MIT */
/* A thread takes a descriptor table of its own: what one closes the other
 * still has. */
#include <linux/close_range.h>
#include <sched.h>

#include "conf.h"

static int a, b;
static _Atomic int state;

static void until(int wanted)
{
	while (state != wanted)
		conf_ms(1);
}

static void *other(void *arg)
{
	int c, fd;

	(void)arg;
	conf_res("unshare", unshare(CLONE_FILES));
	conf_trip(a, b);
	conf_res("close_range", close_range(a, a, CLOSE_RANGE_UNSHARE));
	conf_res("send", send(a, "x", 1, 0));
	c = conf_file(3);
	fd = dup2(c, a);
	conf_res("read", read(fd, (char[3]){ 0 }, 3));
	state = 1;
	until(2);
	conf_put(b, "back", 4);
	close(b);
	return NULL;
}

int main(void)
{
	char buf[8] = "";
	pthread_t t;

	conf_pair(&a, &b);
	pthread_create(&t, NULL, other, NULL);
	until(1);
	conf_put(a, "there", 5);
	conf_get(b, buf, 5);
	conf_say("%s", buf);
	state = 2;
	conf_get(a, buf, 4);
	pthread_join(t, NULL);
	conf_say("%.4s", buf);
	conf_trip(a, b);
	return 0;
}
