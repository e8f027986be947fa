/* SPDX-License-Identifier: MIT */
/* How much is there to read, how much is on the way. */
#include "conf.h"

static void move(int a, int b, bool ring)
{
	if (!getenv("CONF_RING"))
		return;
	conf_steer(a, ring);
	conf_steer(b, ring);
	for (int ms = 0; ms < CONF_WARM_MS && conf_on_ring(a) != ring; ms++)
		conf_ms(1);
}

#define MUCH 40000 /* a ring does not wait until so many are read */

/* One piece by TCP, the other by the ring, before any of it is read: when the
 * first has been read the second is there. */
static void pieces(int a, int b)
{
	static char buf[MUCH];
	int n = 0;

	move(a, b, false);
	conf_put(a, buf, MUCH);
	move(a, b, true);
	conf_put(a, buf, 50);
	conf_get(b, buf, MUCH);
	for (int ms = 0; ms < 500 && n != 50; ms++) {
		ioctl(b, FIONREAD, &n);
		if (n != 50)
			conf_ms(1);
	}
	conf_say("then %d", n);
	conf_get(b, buf, 50);
}

int main(void)
{
	char buf[1000] = "";
	int a, b, n = -1;

	conf_pair(&a, &b);
	conf_res("FIONREAD", ioctl(b, FIONREAD, &n));
	conf_say("%d", n);
	conf_put(a, buf, 1000);
	conf_ms(30);
	ioctl(b, FIONREAD, &n);
	conf_say("%d", n);
	conf_res("recv", recv(b, buf, 300, 0));
	ioctl(b, FIONREAD, &n);
	conf_say("%d", n);
	conf_res("recv", recv(b, buf, 1000, 0));
	ioctl(b, FIONREAD, &n);
	conf_say("%d", n);
	pieces(a, b);
	conf_put(a, buf, 47);
	conf_poll(b, POLLIN, 2000);
	conf_put(a, buf, 100);
	conf_ms(30);
	ioctl(b, FIONREAD, &n);
	conf_say("%d", n);
	conf_res("recv", recv(b, buf, 1000, 0));
	n = 1;
	conf_res("FIONBIO", ioctl(b, FIONBIO, &n));
	conf_res("recv", recv(b, buf, 1000, 0));
	conf_say("O_NONBLOCK %d", !!(fcntl(b, F_GETFL) & O_NONBLOCK));
	n = 0;
	conf_res("FIONBIO", ioctl(b, FIONBIO, &n));
	conf_say("O_NONBLOCK %d", !!(fcntl(b, F_GETFL) & O_NONBLOCK));
	return 0;
}
